-- The champion's predictions for a batch.
-- $batch
create or replace temp table predictions_now as

select *
from predictions_now
where batch = $batch
