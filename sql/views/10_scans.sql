-- The ledger: one row per delivered file and attempt.
create or replace view scans as

select * exclude (filename)
from scans_parts
