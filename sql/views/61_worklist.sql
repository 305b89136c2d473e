-- Crops to look at that no reviewer has read: those of patients unseen in training first, then by
-- probability of abnormal. As the table macro `worklist_of`, which also knows who reads.
create or replace view worklist as

select *
from worklist_of(null, 'audit')
