-- Boxes in force that reviewers drew, with the label in force.
select
    regions_now.crop_id,
    regions_now.scan_id,
    regions_now.region,
    regions_now.kind,
    regions_now.x,
    regions_now.y,
    regions_now.w,
    regions_now.h,
    regions_now.source as reviewer,
    labels_now.label

from regions_now
left join labels_now on regions_now.crop_id = labels_now.crop_id
order by regions_now.part, regions_now.crop_id
