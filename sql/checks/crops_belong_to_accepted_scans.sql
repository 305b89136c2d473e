-- Every row of crops belongs to a scan that was accepted.
with accepted as (
    select scan_id
    from scans
    where status = 'accepted'
)

select
    crops.recipe,
    crops.batch,
    crops.crop_id

from crops
anti join accepted on crops.scan_id = accepted.scan_id
