-- Every file of one batch, attempt by attempt.
-- topic: Deliveries
-- $batch
select *
from scans
where batch = $batch
order by part, "row"
