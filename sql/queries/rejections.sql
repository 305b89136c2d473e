-- Why scans were rejected, the most common reason first, each with an example.
-- topic: Deliveries
-- $batch = null
select
    batch,
    reason,
    count(*) as scans,
    min(detail) as example

from scans_now
where
    status = 'rejected'
    and ($batch::varchar is null or batch = $batch)
group by batch, reason
order by scans desc, batch, reason
