-- Every delivery of one batch, attempt by attempt.
-- $batch
select *
from scans
where batch = $batch
order by part, "row"
