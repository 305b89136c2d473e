-- Labels of a head's training that may be wrong, the most doubtful first, with their pictures' place.
-- $head
-- $limit = 24
select
    features.crop_id,
    features.batch,
    features.recipe,
    features.tooth,
    labels_now.label,
    labels_now.source,
    out_of_fold.suggested,
    out_of_fold.self_confidence

from out_of_fold
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
    out_of_fold.head = $head
    and out_of_fold.suggested <> out_of_fold.label
order by out_of_fold.self_confidence, out_of_fold.crop_id
limit $limit::bigint
