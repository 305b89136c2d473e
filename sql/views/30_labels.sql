-- Every label ever given; rows are only appended.
create or replace view labels as

select * exclude (filename)
from labels_parts
