-- Where every crop with an embedding is on its scan.
select distinct
    crop_id,
    scan_id,
    region_x,
    region_y,
    region_w,
    region_h,
    scan_w,
    scan_h

from features
order by crop_id
