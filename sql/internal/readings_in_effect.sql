-- The decision in effect of each reviewer about each crop, and their latest consensus about it.
select
    crop_id,
    source,
    decision,
    label,
    labelled_at

from readings
order by crop_id, source, decision
