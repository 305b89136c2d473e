-- Crops whose scan_id begins so and whose region begins so, in order.
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
