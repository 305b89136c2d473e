-- Every label ever given and every decision of a reviewer; rows are only appended.
--
-- Parts of earlier versions have no decision: a row there labels, or withdraws when its label is null.
create or replace view labels as

select
    * exclude (filename)
    replace (coalesce(decision, if(label is null, 'withdraw', 'label')) as decision)

from labels_parts
