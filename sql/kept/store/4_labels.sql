-- Every label ever given and every decision.
create or replace temp table labels as

from labels
