-- The prediction of every head for every crop.
create or replace view predictions as

select * exclude (filename)
from predictions_parts
