-- Embeddings of several versions; columns that a part lacks are null.
create or replace view features_parts as

select *
from features_written
union all by name
select
    tooth_guess,
    tooth_confidence

from later_columns
