-- Crops with a label in force, and the facts by which scores are told apart.
-- $trunk = null
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
inner join labels_now on features.crop_id = labels_now.crop_id
where $trunk::varchar is null or features.trunk = $trunk
order by features.crop_id
