-- Crops whose embeddings are drawn on the map of a head's page, the same ones every time.
-- $trunk
-- $limit = 600
select
    features.crop_id,
    features.batch,
    features.part,
    coalesce(features.modality, case when features.panoramic then 'PX' else 'unknown' end) as modality,
    coalesce(labels_now.label, 'no label') as label

from features
left join labels_now on features.crop_id = labels_now.crop_id
where features.trunk = $trunk
-- Labelled crops first: they show whether the classes separate.
order by (labels_now.label is null), md5(features.crop_id)
limit $limit::bigint
