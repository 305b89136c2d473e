-- The patient for whom every scan was accepted.
select distinct
    scan_id,
    patient_key

from scans
where status = 'accepted'
order by scan_id
