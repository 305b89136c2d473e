-- What models that had not seen a crop said about the label it had when a head was trained.
create or replace view out_of_fold as

select * exclude (filename)
from out_of_fold_parts
