-- Crops with an embedding of `trunk` that have been labelled, or relabelled, after `since`.
-- $trunk
-- $since
select
    labels.crop_id,
    max(labels.labelled_at) as labelled_at

from labels
inner join features on labels.crop_id = features.crop_id
where
    features.trunk = $trunk
    and labels.labelled_at > $since::timestamptz
group by labels.crop_id
order by labelled_at, labels.crop_id
