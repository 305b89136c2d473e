-- Patients whose side is given by the folders of their scans.
select
    patient_key,
    side

from patient_sides
where given_sides is not null
order by patient_key
