-- Every crop with an embedding, and the labels ever given to it.
select distinct
    features.crop_id,
    features.scan_id,
    features.batch,
    labels.label

from features
left join labels on features.crop_id = labels.crop_id
order by features.crop_id, labels.label
