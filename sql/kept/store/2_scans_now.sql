-- The last attempt of every delivered file.
create or replace temp table scans_now as

from scans_now
