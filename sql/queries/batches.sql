-- Files of every batch: delivered, accepted, duplicate and rejected, and the rows made of them.
-- topic: Deliveries
-- Forgotten files and masks count as rejected too, since every delivered file has its row.
with files as (
    select
        batch,
        count(*) as delivered,
        count(*) filter (where status = 'accepted') as accepted,
        count(*) filter (where status = 'duplicate') as duplicate,
        count(*) filter (where status = 'rejected') as rejected,
        count(*) filter (where reason = 'forgotten') as forgotten,
        count(*) filter (where reason = 'mask') as masks

    from scans_now
    group by batch
),

box_kinds as (
    select
        batch,
        unnest(box_problems) as kind

    from scans_now
),

box_counts as (
    select
        batch,
        count(*) filter (where kind = 'clipped_box') as clipped_boxes,
        count(*) filter (where kind = 'box_outside') as boxes_outside

    from box_kinds
    group by batch
),

crop_counts as (
    select
        batch,
        count(distinct crop_id) as crop_count

    from crops
    group by batch
),

feature_counts as (
    select
        batch,
        count(distinct crop_id) as feature_count

    from features
    group by batch
),

prediction_counts as (
    select
        batch,
        count(*) as prediction_count

    from predictions_now
    group by batch
)

select
    files.batch,
    files.delivered,
    files.accepted,
    files.duplicate,
    files.rejected,
    coalesce(crop_counts.crop_count, 0) as crops,
    coalesce(feature_counts.feature_count, 0) as features,
    coalesce(prediction_counts.prediction_count, 0) as predictions,
    files.forgotten,
    files.masks,
    coalesce(box_counts.clipped_boxes, 0) as clipped_boxes,
    coalesce(box_counts.boxes_outside, 0) as boxes_outside

from files
left join box_counts on files.batch = box_counts.batch
left join crop_counts on files.batch = crop_counts.batch
left join feature_counts on files.batch = feature_counts.batch
left join prediction_counts on files.batch = prediction_counts.batch
order by files.batch
