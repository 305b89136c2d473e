-- Where teeth were found on panoramics without boxes, in source pixels, and the champion's scores.
create or replace view found_places as

select
    features.crop_id,
    features.scan_id,
    regexp_extract(features.region, '^f\d+') as frame,
    features.box_x + features.box_w / 2 as x,
    features.box_y + features.box_h / 2 as y,
    features.scan_h as height,
    predictions_now.p_abnormal

from features
semi join champion on features.trunk = champion.trunk
inner join predictions_now on features.crop_id = predictions_now.crop_id
where features.region_kind = 'tooth'
