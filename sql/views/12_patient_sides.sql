-- The side of every patient: training, validation or test.
--
-- It is the side that the folders of the scans give (setting `given_splits`), else that of a hash, as in
-- splits.py. On several given sides a patient is on the one that is held back most, so that nothing that
-- was given for a test is learned from. A file's last attempt counts, so a side is withdrawn by running
-- its batch again without the setting; scans belong to the patient for whom they were accepted.
create or replace view patient_sides as

with accepted as (
    select
        scan_id,
        any_value(patient_key) as patient_key

    from scans
    where status = 'accepted'
    group by scan_id
),

last_given as (
    select
        scan_id,
        given_side

    from scans
    where status <> 'rejected'
    qualify row_number() over (partition by batch, file_key, scan_id order by attempt desc) = 1
),

given as (
    select
        accepted.patient_key,
        list_sort(list(distinct last_given.given_side)) as given_sides

    from last_given
    inner join accepted on last_given.scan_id = accepted.scan_id
    where last_given.given_side is not null
    group by accepted.patient_key
),

patients as (
    select
        patient_key,
        sha256(patient_key) as digest

    from (select distinct patient_key from scans where status <> 'rejected')
),

-- The remainder of the hash, a number of 256 bits, by 100: 2 ** 64 leaves 16.
hashed as (
    select
        patient_key,
        (
            (
                (
                    ('0x' || digest[1:16])::ubigint % 100 * 16
                    + ('0x' || digest[17:32])::ubigint % 100
                ) % 100 * 16
                + ('0x' || digest[33:48])::ubigint % 100
            ) % 100 * 16
            + ('0x' || digest[49:64])::ubigint % 100
        ) % 100 as place

    from patients
)

select
    hashed.patient_key,
    case
        when list_contains(given.given_sides, 'test') then 'test'
        when list_contains(given.given_sides, 'validation') then 'validation'
        when list_contains(given.given_sides, 'train') or hashed.place < 70 then 'train'
        when hashed.place < 85 then 'validation'
        else 'test'
    end as side,
    given.given_sides

from hashed
left join given on hashed.patient_key = given.patient_key
