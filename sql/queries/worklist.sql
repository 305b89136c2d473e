-- The work-list with every column: unseen crops first, then the likeliest abnormal.
-- topic: What to look at
-- $batch = null
-- $audit = null
-- $limit = 20
select *
from worklist
where
    ($batch::varchar is null or batch = $batch)
    and ($audit::boolean is null or audit = $audit)
order by rank
limit $limit::bigint
