-- Pairs of deliveries whose scans look alike, each pair once: their likeness differs in at most `most`
-- of 64 bits, or the centre of one has, within `most` bits, a hash of the other mirrored or turned.
-- With a batch, pairs of which one is of it: all pairs grow with the square of the store.
--
-- Exact without comparing all with all: cut into most + 1 bands, two hashes that differ in at most
-- `most` bits agree in at least one band. Blank scans have no hash and are left out; scans stored by
-- earlier versions have none of their centre.
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
            patient_from not in ('scan', 'study') as is_patient_known,
            status = 'accepted' as is_accepted,
            ('0x' || likeness)::ubigint as bits,
            likeness_turned

        from scans_now
        where status <> 'rejected' and likeness is not null
    )
),

-- The whole is compared with the whole; the centre of either scan as it is with all views of the
-- other's, since a turn that cut off the edges can only be repeated.
hashes as not materialized (
    select
        number,
        batch,
        'whole' as kind,
        'whole' as other_kind,
        bits

    from deliveries
    union all
    select
        number,
        batch,
        'centre' as kind,
        'view' as other_kind,
        likeness_turned[1] as bits

    from deliveries
    where likeness_turned is not null
    union all
    select
        number,
        batch,
        'view' as kind,
        'centre' as other_kind,
        unnest(likeness_turned) as bits

    from deliveries
),

-- In 64 bits: with wider integers, 21,900 hashes take three times as long. Not kept in memory, since a
-- scan has 300 of these rows: 1.5 GB for 50,000 scans.
bands as not materialized (
    select
        hashes.*,
        each.band,
        (hashes.bits >> each.shift) & each.mask as band_bits

    from hashes
    cross join (
        select
            band,
            (band * 64 // (most + 1))::ubigint as shift,
            18446744073709551615::ubigint
            >> (64 - ((band + 1) * 64 // (most + 1) - band * 64 // (most + 1)))::ubigint as mask

        from (select unnest(range(most + 1)) as band)
    ) as each
),

-- `distinct` changes no pair. By it DuckDB expects fewer rows here than in `bands`, and so keeps these in
-- memory to join: with 250,000 scans 0.5 GB instead of 6.
chosen as (
    select distinct *
    from bands
    -- Of all pairs, each of a centre and a view is found from the view.
    where batch = about or (about is null and kind <> 'centre')
),

pairs as (
    select
        least(one.number, other.number) as one,
        greatest(one.number, other.number) as other,
        min(bit_count(xor(one.bits, other.bits)))::integer as distance

    from chosen as one
    inner join bands as other
        on
            one.other_kind = other.kind
            and one.band = other.band
            and one.band_bits = other.band_bits
            and one.number <> other.number
    where
        bit_count(xor(one.bits, other.bits)) <= most
        and (about is not null or one.kind = 'view' or one.number < other.number)
    group by all
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
    other.is_accepted as is_other_accepted,
    one_patient.side,
    other_patient.side as other_side

from pairs
inner join deliveries as one on pairs.one = one.number
inner join deliveries as other on pairs.other = other.number
left join patient_sides as one_patient on one.patient_key = one_patient.patient_key
left join patient_sides as other_patient on other.patient_key = other_patient.patient_key
