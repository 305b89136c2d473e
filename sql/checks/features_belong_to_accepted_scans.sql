-- Every row of features belongs to a scan that was accepted.
with accepted as (
    select scan_id
    from scans
    where status = 'accepted'
)

select
    features.trunk,
    features.batch,
    features.crop_id

from features
anti join accepted on features.scan_id = accepted.scan_id
