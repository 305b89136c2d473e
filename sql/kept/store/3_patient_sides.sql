-- The side of every patient.
create or replace temp table patient_sides as

from patient_sides
