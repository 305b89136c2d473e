-- A scan is accepted, duplicate or rejected, and has an id unless it is rejected.
select
    batch,
    part,
    "row",
    status,
    scan_id

from scans
where
    status is null
    or status not in ('accepted', 'duplicate', 'rejected')
    or (status <> 'rejected' and scan_id is null)
