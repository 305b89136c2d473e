-- What every head said about every crop.
create or replace view predictions as

select * exclude (filename)
from predictions_parts
