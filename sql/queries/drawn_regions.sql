-- Boxes that reviewers drew, moved or withdrew, the newest decision first, and which are in force.
-- topic: Crops and labels
-- $batch = null
-- $scan_id = null
select
    regions.batch,
    regions.scan_id || ':' || regions.region as crop_id,
    regions.kind,
    regions.replaces,
    regions.source,
    regions.drawn_at,
    regions.withdrawn,
    regions_now.crop_id is not null as in_force,
    labels_now.label

from regions
left join regions_now
    on
        regions.scan_id = regions_now.scan_id
        and regions.region = regions_now.region
        and regions.part = regions_now.part
left join labels_now on regions_now.crop_id = labels_now.crop_id
where
    ($batch::varchar is null or regions.batch = $batch)
    and ($scan_id::varchar is null or regions.scan_id = $scan_id)
order by regions.part desc, crop_id
