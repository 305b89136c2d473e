-- Crops that a hash drew for a person to label, a few every night.
create or replace view audits as

select * exclude (filename)
from audits_parts
-- A crop that came again, after its batch was taken back, may have been drawn twice.
qualify row_number() over (partition by crop_id order by night desc, batch) = 1
