-- The ledger of several versions; what a part was written without is null.
create or replace view scans_parts as

select *
from scans_written
union all by name
select likeness_turned
from later_columns
