-- Crops drawn for the audit.
create or replace temp table audits as

from audits
