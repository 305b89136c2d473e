-- A rejected scan says why, in a code and in words; no other scan has a reason.
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
