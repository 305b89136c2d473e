-- The labels in force.
create or replace temp table labels_now as

from labels_now
