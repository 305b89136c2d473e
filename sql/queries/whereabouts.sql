-- Where a crop is stored and cut: its batch, part and place, and the label in force.
-- topic: Crops and labels
-- $crop_id
-- $trunk = null
select
    features.crop_id,
    features.scan_id,
    features.batch,
    features.part,
    features.recipe,
    features.trunk,
    features.region,
    features.region_kind,
    features.tooth,
    features.box_x,
    features.box_y,
    features.box_w,
    features.box_h,
    labels_now.label,
    labels_now.source

from features
left join labels_now on features.crop_id = labels_now.crop_id
where
    features.crop_id = $crop_id
    and ($trunk::varchar is null or features.trunk = $trunk)
order by features.trunk
