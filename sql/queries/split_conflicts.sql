-- Scans of patients whose scans came in folders of several sides, with the setting `given_splits`.
-- topic: Patients
-- $batch = null
--
-- Such a patient is on the test side if any of the scans is given for it, else on the validation side:
-- `side`. With a batch, patients of whom it has a scan. One row per delivered file.
with files as (
    select
        batch,
        scan_id,
        given_side

    from scans
    where status <> 'rejected'
    qualify row_number() over (partition by batch, file_key, scan_id order by attempt desc) = 1
),

accepted as (
    select
        scan_id,
        any_value(patient_key) as patient_key

    from scans
    where status = 'accepted'
    group by scan_id
)

select
    accepted.patient_key,
    patient_sides.side,
    files.given_side,
    files.batch,
    files.scan_id

from files
inner join accepted on files.scan_id = accepted.scan_id
inner join patient_sides on accepted.patient_key = patient_sides.patient_key
where
    len(patient_sides.given_sides) > 1
    and files.given_side is not null
qualify $batch::varchar is null or bool_or(files.batch = $batch) over (partition by accepted.patient_key)
order by accepted.patient_key, files.given_side, files.batch, files.scan_id
