-- Patients whose side is given by the folders of their scans: the side, and all that are given.
--
-- On several given sides a patient is on the one that is held back most, so that nothing that was given
-- for a test is learned from.
create or replace macro given_patient_sides() as table

with given as (
    select
        patient_key,
        list_sort(list(distinct given_side)) as given_sides

    from given_files()
    group by patient_key
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
