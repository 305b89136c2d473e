-- Labels in force by batch and kind of region, with the patients behind them.
-- topic: Crops and labels
-- $trunk = null
with labelled as (
    select distinct
        features.batch,
        features.region_kind,
        labels_now.label,
        features.crop_id,
        features.patient_key

    from features
    inner join labels_now on features.crop_id = labels_now.crop_id
    where $trunk::varchar is null or features.trunk = $trunk
)

select
    batch,
    region_kind,
    label,
    count(*) as crops,
    count(distinct patient_key) as patients

from labelled
group by batch, region_kind, label
order by batch, region_kind, label
