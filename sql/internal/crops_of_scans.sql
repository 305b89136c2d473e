-- Stored crops of some scans with the squares that were cut, to put the scans together.
-- $scan_ids
-- $recipe
select
    scan_id,
    batch,
    crop_id,
    region_kind,
    box_x,
    box_y,
    box_w,
    box_h,
    scan_w,
    scan_h

from crops
where
    recipe = $recipe
    and list_contains($scan_ids::varchar[], scan_id)
    -- Of a scan of several frames, the first.
    and not regexp_matches(region, '^f0*[1-9]\d*-')
order by scan_id, crop_id
