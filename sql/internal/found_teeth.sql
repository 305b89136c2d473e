-- Places where teeth were looked for on panoramics without boxes, with tooth guesses and scores.
-- $batch = null
-- $recipe = null
-- $limit = 4
with places as (
    select
        crops.batch,
        crops.scan_id,
        regexp_extract(crops.region, '^f\d+') as frame,
        crops.crop_id,
        crops.tooth_guess,
        crops.tooth_confidence,
        crops.box_x,
        crops.box_y,
        crops.box_w,
        crops.box_h,
        crops.scan_w,
        crops.scan_h,
        predictions_now.p_abnormal,
        repeated_places.crop_id is not null as again

    from crops
    left join predictions_now
        on
            crops.crop_id = predictions_now.crop_id
            and crops.recipe = predictions_now.recipe
    left join repeated_places on crops.crop_id = repeated_places.crop_id
    where
        crops.region_kind = 'tooth'
        and ($batch::varchar is null or crops.batch = $batch)
        and ($recipe::varchar is null or crops.recipe = $recipe)
),

-- The likeliest abnormal first, else always the same ones.
pictures as (
    select
        scan_id,
        frame,
        row_number() over (order by max(p_abnormal) desc nulls last, md5(scan_id), frame) as place

    from places
    group by scan_id, frame
)

select places.*
from places
inner join pictures on places.scan_id = pictures.scan_id and places.frame = pictures.frame
where pictures.place <= $limit::bigint
order by pictures.place, places.again, places.p_abnormal desc nulls last, places.crop_id
