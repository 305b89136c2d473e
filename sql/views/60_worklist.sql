-- What to look at, in this order: unseen in training first, then the likeliest abnormal.
create or replace view worklist as

with places as (
    select
        features.crop_id,
        features.region,
        features.region_kind,
        features.tooth,
        features.box_x,
        features.box_y,
        features.box_w,
        features.box_h,
        features.region_x,
        features.region_y,
        features.region_w,
        features.region_h

    from features
    semi join champion on features.trunk = champion.trunk
)

select
    row_number() over (
        order by
            predictions_now.seen,
            predictions_now.p_abnormal desc,
            predictions_now.crop_id
    ) as rank,
    predictions_now.batch,
    predictions_now.crop_id,
    predictions_now.scan_id,
    predictions_now.patient_key,
    places.* exclude (crop_id),
    predictions_now.predicted,
    predictions_now.p_abnormal,
    predictions_now.flagged,
    predictions_now.seen,
    labels_now.label

from predictions_now
left join places on predictions_now.crop_id = places.crop_id
left join labels_now on predictions_now.crop_id = labels_now.crop_id
