-- Accepted files whose folder gives a side (setting `given_splits`), with the patient.
--
-- A file's last attempt counts, so a side is withdrawn by running its batch again without the setting;
-- scans belong to the patient for whom they were accepted.
create or replace macro given_files() as table

-- Most stores have none, so what follows is asked about these scans alone.
with ever_given as (
    select distinct scan_id
    from scans
    where given_side is not null
),

last_given as (
    select
        batch,
        scan_id,
        given_side

    from scans
    semi join ever_given using (scan_id)
    where status <> 'rejected'
    qualify row_number() over (partition by batch, file_key, scan_id order by attempt desc) = 1
),

accepted as (
    select
        scan_id,
        any_value(patient_key) as patient_key

    from scans
    semi join ever_given using (scan_id)
    where status = 'accepted'
    group by scan_id
)

select
    accepted.patient_key,
    last_given.given_side,
    last_given.batch,
    last_given.scan_id

from last_given
inner join accepted on last_given.scan_id = accepted.scan_id
where last_given.given_side is not null
