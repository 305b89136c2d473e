-- The same bytes are accepted once in the whole store; every other delivery is a duplicate.
select
    scan_id,
    count(*) as copies

from scans
where status = 'accepted'
group by scan_id
having count(*) > 1
