-- The ledger.
create or replace temp table scans as

from scans
