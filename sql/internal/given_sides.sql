-- Patients whose side is given by the folders of their scans.
select
    patient_key,
    side

from given_patient_sides()
order by patient_key
