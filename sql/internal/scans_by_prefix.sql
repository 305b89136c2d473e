-- Scans whose id begins with the prefix, in order.
-- $prefix
-- $limit
select distinct scan_id
from scans
where starts_with(scan_id, $prefix)
order by scan_id
limit $limit::bigint
