-- Patients whose side is given by the folders of their scans (setting `given_splits`): the side, and all
-- that are given.
--
-- On several given sides a patient is on the one that is held back most, so that nothing that was given
-- for a test is learned from. A file's last attempt counts, so a side is withdrawn by running its batch
-- again without the setting; scans belong to the patient for whom they were accepted.
create or replace macro given_patient_sides() as table

-- Most stores have none, so what follows is asked about these scans alone.
with ever_given as (
    select distinct scan_id
    from scans
    where given_side is not null
),

last_given as (
    select
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
),

given as (
    select
        accepted.patient_key,
        list_sort(list(distinct last_given.given_side)) as given_sides

    from last_given
    inner join accepted on last_given.scan_id = accepted.scan_id
    where last_given.given_side is not null
    group by accepted.patient_key
)

select
    patient_key,
    case
        when list_contains(given_sides, 'test') then 'test'
        when list_contains(given_sides, 'validation') then 'validation'
        else 'train'
    end as side,
    given_sides

from given
