-- Every label ever given; rows are only ever added.
create or replace view labels as

select * exclude (filename)
from labels_parts
