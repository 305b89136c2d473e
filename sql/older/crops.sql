-- Crops of several versions; columns that a part lacks are null.
create or replace view crops_parts as

select *
from crops_written
union all by name
select *
from crops_later
