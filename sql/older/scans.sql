-- The ledger of several versions; columns that a part lacks are null.
create or replace view scans_parts as

select *
from scans_written
union all by name
select *
from scans_later
