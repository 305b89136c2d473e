-- The decision in effect of every reviewer about every crop, as they decided last. A consensus is a row of
-- its own beside its reviewer's decision. Decisions that were undone are left out.
create or replace view readings as

select *
from readings_until('infinity'::timestamptz)
