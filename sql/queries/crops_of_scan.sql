-- The crops of one scan under every recipe, with the label in force and the champion's prediction.
-- topic: Crops and labels
-- $scan_id
with places as (
    select distinct
        crop_id,
        recipe,
        region,
        region_kind,
        tooth,
        tooth_guess,
        tooth_confidence

    from features
    where scan_id = $scan_id
    union
    select distinct
        crop_id,
        recipe,
        region,
        region_kind,
        tooth,
        tooth_guess,
        tooth_confidence

    from crops
    where scan_id = $scan_id
)

select
    places.*,
    labels_now.label,
    predictions_now.predicted,
    predictions_now.p_abnormal,
    predictions_now.flagged,
    predictions_now.seen

from places
left join labels_now on places.crop_id = labels_now.crop_id
left join predictions_now
    on
        places.crop_id = predictions_now.crop_id
        and places.recipe = predictions_now.recipe
order by places.recipe, places.crop_id
