-- Scans that look alike, or are the same, but were delivered as different patients'.
-- topic: Patients
-- $batch = null
-- $distance = 4
--
-- One of the two may be filed under the wrong person. Scans delivered without a patient, or with one
-- known by the DICOM study alone, are left out.
select
    distance,
    scan_id,
    batch,
    patient_key,
    other_scan_id,
    other_batch,
    other_patient_key,
    side,
    other_side

from near_pairs($distance::integer, $batch::varchar)
where
    is_patient_known
    and is_other_patient_known
    and patient_key <> other_patient_key
order by distance, scan_id, other_scan_id, batch, other_batch, patient_key, other_patient_key
