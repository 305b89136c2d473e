-- Accepted scans that look alike, such as one film exported twice, the most alike first.
-- topic: Patients
-- $batch = null
-- $distance = 4
-- $across_sides = false
--
-- With across_sides=true, pairs whose patients are on two sides: an evaluation leaves out their scans of
-- the test side. `distance` counts differing bits of 64. On 116 real panoramics another window or gamma
-- changes at most 4 bits, a border added or 1 % trimmed mostly fewer than 8; no two films are closer
-- than 14. Of copies that are mirrored or turned by up to 15°, 93 to 99 % are found within 4 bits and 99 %
-- within 6; no two films come closer than 10 in this way.
select
    distance,
    scan_id,
    batch,
    patient_key,
    other_scan_id,
    other_batch,
    other_patient_key,
    side,
    other_side

from near_pairs($distance::integer, $batch::varchar)
where
    is_accepted
    and is_other_accepted
    and (not $across_sides::boolean or side <> other_side)
order by distance, scan_id, other_scan_id
