-- Crops of several versions; columns that a part lacks are null.
create or replace view crops_parts as

select *
from crops_written
union all by name
select
    tooth_guess,
    tooth_confidence

from later_columns
