-- Crops with a label in force, and the facts that scores are grouped by.
-- $trunk = null
--
-- Without `trunk` the champion's embeddings count, and before the first champion any trunk's.
select
    features.crop_id,
    features.scan_id,
    features.patient_key,
    features.batch,
    features.modality,
    features.tooth,
    features.region_kind,
    labels_now.label

from features
left join champion on true
inner join labels_now on features.crop_id = labels_now.crop_id
where features.trunk = coalesce($trunk, champion.trunk, features.trunk)
qualify row_number() over (partition by features.crop_id order by features.trunk) = 1
order by features.crop_id
