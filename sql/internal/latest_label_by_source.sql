-- The decision in effect of each source about each crop, and of a reviewer's consensus decisions the
-- latest.
select
    crop_id,
    source,
    decision,
    label,
    labelled_at

from readings
order by crop_id, source, decision
