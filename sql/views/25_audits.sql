-- Crops drawn by a hash for a person to label, a few every night.
create or replace view audits as

select * exclude (filename)
from audits_parts
anti join withdrawn_crops on audits_parts.crop_id = withdrawn_crops.crop_id
-- A crop that was delivered again, after its batch was undone, may have been drawn twice.
qualify row_number() over (partition by crop_id order by night desc, batch) = 1
