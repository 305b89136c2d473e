-- A rejected scan has a reason code and a detail; no other scan has.
select
    batch,
    part,
    "row",
    status,
    reason

from scans
where
    (status = 'rejected') <> (reason is not null)
    or (status = 'rejected') <> (detail is not null)
