-- The work-list with every column: unseen crops first, then the likeliest abnormal.
-- topic: What to look at
-- $batch = null
-- $audit = null
-- $limit = 20
-- $reviewer = null
-- $double_read = "audit"
--
-- `delivered` is the label that came with the scan. With `reviewer`, what this reviewer has to read,
-- as second reader too.
select * rename (label as delivered)
from worklist_of($reviewer::varchar, $double_read::varchar)
where
    ($batch::varchar is null or batch = $batch)
    and ($audit::boolean is null or audit = $audit)
order by rank
limit $limit::bigint
