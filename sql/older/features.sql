-- Embeddings of several versions; what a part was written without is null.
create or replace view features_parts as

select *
from features_written
union all by name
select *
from later_columns
