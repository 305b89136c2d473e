-- What to look at first: unseen in training first, then the likeliest abnormal.
-- $batch = null
-- $limit = 20
select *
from worklist
where $batch::varchar is null or batch = $batch
order by rank
limit $limit::bigint
