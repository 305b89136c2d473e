-- Scans with boxes that were clipped or not used, and how many, by kind.
-- topic: Deliveries
-- $batch = null
with kinds as (
    select
        batch,
        scan_id,
        width,
        height,
        unnest(box_problems) as kind

    from scans_now
    where $batch::varchar is null or batch = $batch
)

select
    batch,
    kind,
    scan_id,
    width,
    height,
    count(*) as boxes

from kinds
group by batch, kind, scan_id, width, height
order by batch, kind, boxes desc, scan_id
