-- Crops with an embedding of `trunk` whose label in force differs from the one at `since`.
-- $trunk
-- $since
--
-- A label that was only repeated, or confirmed by a reviewer, does not count: a head trained now would
-- learn the same. A withdrawn one counts: the last head learned from it, the next one would not.
with labels_then as (
    select
        crop_id,
        label

    from labels
    where labelled_at <= $since::timestamptz
    qualify
        row_number() over (
            partition by crop_id
            -- As in labels_now, of which this is the state at `since`, withdrawn labels included.
            order by (source <> 'delivered') desc, labelled_at desc, batch desc, label
        ) = 1
)

select
    labels.crop_id,
    max(labels.labelled_at) as labelled_at

from labels
inner join features on labels.crop_id = features.crop_id
left join labels_then on labels.crop_id = labels_then.crop_id
left join labels_now on labels.crop_id = labels_now.crop_id
where
    features.trunk = $trunk
    and labels.labelled_at > $since::timestamptz
    and labels_now.label is distinct from labels_then.label
group by labels.crop_id
order by labelled_at, labels.crop_id
