-- The novelty scores of every model for every crop in force.
create or replace view novelty as

select * exclude (filename)
from novelty_parts
anti join withdrawn_crops on novelty_parts.crop_id = withdrawn_crops.crop_id
