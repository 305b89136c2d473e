-- The side of every patient: training, validation or test.
--
-- It is the side that the folders of the scans give (setting `given_splits`), else that of a hash, as in
-- splits.py.
create or replace view patient_sides as

with patients as (
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
    coalesce(
        given.side,
        case when hashed.place < 70 then 'train' when hashed.place < 85 then 'validation' else 'test' end
    ) as side,
    given.given_sides

from hashed
left join given_patient_sides() as given on hashed.patient_key = given.patient_key
