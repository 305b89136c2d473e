-- Scans of patients whose scans came in folders of several sides, with the setting `given_splits`.
-- topic: Patients
-- $batch = null
--
-- Such a patient is on the test side if any of the scans is given for it, else on the validation side:
-- `side`. With a batch, patients of whom it has a scan. One row per delivered file.
select
    files.patient_key,
    patients.side,
    files.given_side,
    files.batch,
    files.scan_id

from given_files() as files
inner join given_patient_sides() as patients on files.patient_key = patients.patient_key
where len(patients.given_sides) > 1
qualify $batch::varchar is null or bool_or(files.batch = $batch) over (partition by files.patient_key)
order by files.patient_key, files.given_side, files.batch, files.scan_id
