-- The champion's prediction for every crop.
create or replace view predictions_now as

select predictions.*
from predictions
semi join champion on predictions.head = champion.head
