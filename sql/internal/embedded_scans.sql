-- Scans with an embedding: their patients, and their perceptual hashes if any.
-- $trunk = null
with hashes as (
    select
        scan_id,
        any_value(likeness) as likeness,
        any_value(likeness_turned) as likeness_turned

    from scans
    where status = 'accepted'
    group by scan_id
)

select distinct
    features.scan_id,
    features.patient_key,
    hashes.likeness,
    hashes.likeness_turned

from features
left join hashes on features.scan_id = hashes.scan_id
where $trunk::varchar is null or features.trunk = $trunk
order by features.scan_id
