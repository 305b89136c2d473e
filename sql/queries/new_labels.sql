-- How many crops with an embedding of `trunk` have been labelled, or relabelled, after `since`.
-- $trunk
-- $since
select count(distinct labels.crop_id) as new_labels

from labels
inner join features on labels.crop_id = features.crop_id
where
    features.trunk = $trunk
    and labels.labelled_at > $since::timestamptz
