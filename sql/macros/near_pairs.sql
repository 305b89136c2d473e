-- Pairs of deliveries whose perceptual hashes differ in at most `most` of 64 bits, each pair once.
-- With a batch, only pairs with a scan of it: the number of all pairs grows with the square of the
-- store.
--
-- Exact without comparing every pair: in most + 1 bands, two hashes that differ in at most `most`
-- bits agree in at least one band. Blank scans have no hash and are left out.
create or replace macro near_pairs(most, about) as table

with deliveries as (
    select
        *,
        row_number() over (order by scan_id, batch, patient_key, is_accepted) as number

    from (
        select distinct
            scan_id,
            batch,
            patient_key,
            patient_from <> 'scan' as is_patient_known,
            status = 'accepted' as is_accepted,
            ('0x' || likeness)::ubigint as bits

        from scans_now
        where status <> 'rejected' and likeness is not null
    )
),

bands as (
    select
        deliveries.number,
        deliveries.batch,
        deliveries.bits,
        band,
        (bits::uhugeint >> (band * 64 // (most + 1))::uhugeint)
        % (1::uhugeint << ((band + 1) * 64 // (most + 1) - band * 64 // (most + 1))::uhugeint)
            as band_bits

    from deliveries
    cross join (select unnest(range(most + 1)) as band)
),

chosen as (
    select *
    from bands
    where about is null or batch = about
),

pairs as (
    select distinct
        least(one.number, other.number) as one,
        greatest(one.number, other.number) as other,
        bit_count(xor(one.bits, other.bits))::integer as distance

    from chosen as one
    inner join bands as other
        on
            one.band = other.band
            and one.band_bits = other.band_bits
            and one.number <> other.number
    where
        bit_count(xor(one.bits, other.bits)) <= most
        and (about is not null or one.number < other.number)
)

select
    pairs.distance,
    one.scan_id,
    one.batch,
    one.patient_key,
    one.is_patient_known,
    one.is_accepted,
    other.scan_id as other_scan_id,
    other.batch as other_batch,
    other.patient_key as other_patient_key,
    other.is_patient_known as is_other_patient_known,
    other.is_accepted as is_other_accepted

from pairs
inner join deliveries as one on pairs.one = one.number
inner join deliveries as other on pairs.other = other.number
