-- Crops whose scan_id and region begin with the prefixes given, in order.
-- $scan
-- $region
select
    crop_id,
    region

from features
where starts_with(scan_id, $scan) and starts_with(region, $region)
union
select
    crop_id,
    region

from crops
where starts_with(scan_id, $scan) and starts_with(region, $region)
order by crop_id
