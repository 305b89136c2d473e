-- Labels of several versions; columns that a part lacks are null.
create or replace view labels_parts as

select *
from labels_written
union all by name
select *
from labels_later
