-- The latest comparison of every batch with each reference: one row per modality and fact.
create or replace view drift as

select * exclude (filename)
from drift_parts
qualify part = max(part) over (partition by reference, batch)
