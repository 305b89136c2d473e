-- The novelty scores of every model for every crop.
create or replace view novelty as

select * exclude (filename)
from novelty_parts
