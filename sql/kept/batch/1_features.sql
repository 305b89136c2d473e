-- The embedding rows of a batch, without the embeddings.
-- $batch
create or replace temp table features as

select * exclude (embedding)
from features
where batch = $batch
