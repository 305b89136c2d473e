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
    files.masks

from files
left join crop_counts on files.batch = crop_counts.batch
left join feature_counts on files.batch = feature_counts.batch
left join prediction_counts on files.batch = prediction_counts.batch
order by files.batch
