-- How many duplicates of a batch were accepted with which batch before.
-- $batch
select
    batch,
    duplicate_of,
    count(*) as scans

from scans_now
where status = 'duplicate' and batch = $batch
group by batch, duplicate_of
order by scans desc, duplicate_of
