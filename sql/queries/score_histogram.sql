-- The distribution of the champion's scores: crops per bin of p_abnormal, seen in training or not.
-- topic: Models and scores
-- $batch = null
-- $bins = 25
select
    least(floor(p_abnormal * $bins::integer), $bins::integer - 1)::integer as bin,
    seen,
    count(*) as crops,
    count(*) filter (where flagged) as flagged

from predictions_now
where $batch::varchar is null or batch = $batch
group by bin, seen
order by bin, seen
