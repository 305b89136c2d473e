-- Crops with an embedding of `trunk` whose label in force differs from the one at `since`.
-- $trunk
-- $since
--
-- A label that was only repeated, or confirmed by a reviewer, does not count: a head trained now would
-- learn the same. A withdrawn or disputed one counts: the last head learned from it, the next one would
-- not.
select
    labels.crop_id,
    max(labels.labelled_at) as labelled_at

from labels
inner join features on labels.crop_id = features.crop_id
left join labels_until($since::timestamptz) as labels_then on labels.crop_id = labels_then.crop_id
left join labels_now on labels.crop_id = labels_now.crop_id
where
    features.trunk = $trunk
    and labels.labelled_at > $since::timestamptz
    and labels_now.label is distinct from labels_then.label
group by labels.crop_id
order by labelled_at, labels.crop_id
