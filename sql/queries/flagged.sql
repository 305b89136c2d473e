-- Crops that the champion flags and no reviewer has labelled, in the order of the work-list.
-- topic: What to look at
-- $batch = null
select *
from worklist
where
    flagged
    and ($batch::varchar is null or batch = $batch)
order by rank
