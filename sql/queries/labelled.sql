-- Crops with an embedding and a label in force: what a head can learn from.
-- $trunk = null
select
    features.crop_id,
    features.patient_key,
    labels_now.label

from features
inner join labels_now on features.crop_id = labels_now.crop_id
where
    ($trunk::varchar is null or features.trunk = $trunk)
    and labels_now.label is not null
order by features.crop_id
