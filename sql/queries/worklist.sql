-- What to look at first: unseen, then the likeliest abnormal, crops drawn for the audit in between.
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
