-- Scans with an embedding: their patients, and their perceptual hashes if any.
-- $trunk = null
with hashes as (
    select
        scan_id,
        any_value(likeness) as likeness

    from scans
    where status = 'accepted'
    group by scan_id
)

select distinct
    features.scan_id,
    features.patient_key,
    hashes.likeness

from features
left join hashes on features.scan_id = hashes.scan_id
where $trunk::varchar is null or features.trunk = $trunk
order by features.scan_id
