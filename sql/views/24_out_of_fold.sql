-- Labels in force when a head was trained, judged by models trained without the crop.
create or replace view out_of_fold as

select * exclude (filename)
from out_of_fold_parts
