-- Crops with an embedding, the part they are in, and the label in force if there is one.
-- $trunk
select
    features.crop_id,
    features.patient_key,
    features.batch,
    features.part,
    labels_now.label

from features
left join labels_now on features.crop_id = labels_now.crop_id
where features.trunk = $trunk
order by features.batch, features.part, features.crop_id
