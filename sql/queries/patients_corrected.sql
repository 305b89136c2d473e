-- Scans whose patient was first given, or changed, after they had been accepted.
-- topic: Patients
-- $batch = null
--
-- They stay where they are, also on their side of a split, until their batch is taken back. Two files
-- of the same bytes that were delivered for two patients are misfiled, and no correction.
with last_given as (
    select
        scan_id,
        batch,
        file_key,
        patient_key

    from scans
    where status = 'duplicate' and patient_from <> 'scan'
    qualify row_number() over (partition by batch, file_key, scan_id order by attempt desc) = 1
)

select distinct
    accepted.scan_id,
    accepted.batch,
    accepted.patient_key,
    last_given.batch as said_in,
    last_given.patient_key as said

from scans as accepted
inner join last_given on accepted.scan_id = last_given.scan_id
where
    accepted.status = 'accepted'
    and accepted.patient_key <> last_given.patient_key
    and (
        accepted.patient_from = 'scan'
        or (accepted.batch, accepted.file_key) = (last_given.batch, last_given.file_key)
    )
    and ($batch::varchar is null or $batch in (accepted.batch, last_given.batch))
order by accepted.batch, accepted.scan_id, said_in, said
