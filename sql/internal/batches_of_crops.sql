-- The batch of each of some crops: that of its embedding, else the one that its scan was accepted in.
-- $crop_ids
--
-- Crops that are neither embedded nor of an accepted scan have no row.
with asked as (
    select unnest($crop_ids::varchar[]) as crop_id
),

embedded as (
    select
        crop_id,
        min(batch) as batch

    from features
    semi join asked on features.crop_id = asked.crop_id
    group by crop_id
),

accepted as (
    select
        scan_id,
        min(batch) as batch

    from scans
    where status = 'accepted'
    group by scan_id
)

select
    asked.crop_id,
    coalesce(embedded.batch, accepted.batch) as batch

from asked
left join embedded on asked.crop_id = embedded.crop_id
left join accepted on split_part(asked.crop_id, ':', 1) = accepted.scan_id
where coalesce(embedded.batch, accepted.batch) is not null
