-- Crops with an embedding and a label in force: what a head can learn from.
-- topic: Crops and labels
-- $trunk = null
--
-- Without `trunk` the champion's embeddings count, and before the first champion any trunk's.
select
    features.crop_id,
    features.patient_key,
    labels_now.label

from features
left join champion on true
inner join labels_now on features.crop_id = labels_now.crop_id
where
    features.trunk = coalesce($trunk, champion.trunk, features.trunk)
    and labels_now.label is not null
qualify row_number() over (partition by features.crop_id order by features.trunk) = 1
order by features.crop_id
