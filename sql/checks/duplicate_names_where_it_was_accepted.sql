-- A duplicate names the batch in which the same bytes were accepted; no other scan names one.
with accepted as (
    select
        scan_id,
        batch

    from scans
    where status = 'accepted'
)

select
    scans.batch,
    scans.part,
    scans."row",
    scans.status,
    scans.duplicate_of

from scans
left join accepted
    on
        scans.scan_id = accepted.scan_id
        and scans.duplicate_of = accepted.batch
where
    (scans.status = 'duplicate' and accepted.scan_id is null)
    or (scans.status <> 'duplicate' and scans.duplicate_of is not null)
