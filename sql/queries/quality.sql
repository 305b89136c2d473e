-- Quality flags of scans by batch: a hint to look at them, not a verdict.
-- topic: Deliveries
-- $batch = null
with flagged as (
    select
        batch,
        unnest(quality_flags) as flag,
        status

    from scans_now
    where $batch::varchar is null or batch = $batch
)

select
    batch,
    flag,
    count(*) as scans,
    count(*) filter (where status = 'rejected') as rejected

from flagged
group by batch, flag
order by batch, scans desc, flag
