-- The decision in effect of each source about each crop; consensus decisions are left out.
select
    crop_id,
    source,
    decision,
    label,
    labelled_at

from readings
where decision <> 'consensus'
order by crop_id, source
