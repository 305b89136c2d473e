-- Labels that may be wrong, the most doubtful first, by models that had not learned from them.
-- topic: Crops and labels
-- $batch = null
-- $reviewed = false
-- $limit = 20
select
    features.batch,
    out_of_fold.crop_id,
    labels_now.label,
    labels_now.source,
    out_of_fold.suggested,
    out_of_fold.self_confidence,
    out_of_fold.confidence

from out_of_fold
semi join champion on out_of_fold.head = champion.head
-- The crop's own batch, as on the work-list: its label may have come again with another one.
inner join features
    on
        out_of_fold.trunk = features.trunk
        and out_of_fold.crop_id = features.crop_id
-- A label that was corrected since is no candidate any more.
inner join labels_now
    on
        out_of_fold.crop_id = labels_now.crop_id
        and out_of_fold.label = labels_now.label
where
    ($batch::varchar is null or features.batch = $batch)
    and ($reviewed::boolean or labels_now.source = 'delivered')
order by out_of_fold.self_confidence, out_of_fold.crop_id
limit $limit::bigint
