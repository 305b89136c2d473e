-- Crops with an embedding by batch and kind of region, with the scans and patients behind them.
-- topic: Crops and labels
-- $batch = null
-- $trunk = null
select
    batch,
    region_kind,
    count(distinct crop_id) as crops,
    count(distinct scan_id) as scans,
    count(distinct patient_key) as patients

from features
where
    ($batch::varchar is null or batch = $batch)
    and ($trunk::varchar is null or trunk = $trunk)
group by batch, region_kind
order by batch, region_kind
