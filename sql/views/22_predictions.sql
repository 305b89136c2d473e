-- The prediction of every head for every crop in force.
create or replace view predictions as

select * exclude (filename)
from predictions_parts
anti join withdrawn_crops on predictions_parts.crop_id = withdrawn_crops.crop_id
