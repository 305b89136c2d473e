-- Every delivery of one scan, in any batch.
-- topic: Deliveries
-- $scan_id
select *
from scans
where scan_id = $scan_id
order by batch, part, "row"
