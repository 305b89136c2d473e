-- Crops of several versions; what a part was written without is null.
create or replace view crops_parts as

select *
from crops_written
union all by name
select *
from later_columns
