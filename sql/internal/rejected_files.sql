-- The rejected files of a batch, one row each.
-- $batch
-- $limit = 50
select
    batch,
    part,
    "row",
    attempt,
    reason,
    detail

from scans_now
where status = 'rejected' and batch = $batch
order by part, "row"
limit $limit::bigint
