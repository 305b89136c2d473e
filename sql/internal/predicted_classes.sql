-- Crops of a batch by predicted class.
-- $batch
select
    batch,
    predicted,
    count(*) as crops,
    count(*) filter (where flagged) as flagged

from predictions_now
where batch = $batch
group by batch, predicted
order by crops desc, predicted
