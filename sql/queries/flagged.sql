-- Crops that the champion flags and no reviewer has read, in the order of the work-list.
-- topic: What to look at
-- $batch = null
select * rename (label as delivered)
from worklist
where
    flagged
    and ($batch::varchar is null or batch = $batch)
order by rank
