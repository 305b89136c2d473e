-- Every label that was ever given, by a delivery or a reviewer.
select distinct label
from labels
where label is not null
order by label
