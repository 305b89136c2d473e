-- What every model of novelty said about every crop.
create or replace view novelty as

select * exclude (filename)
from novelty_parts
