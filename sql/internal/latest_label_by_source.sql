-- The latest label that each source gave to each crop; a null label withdraws.
select
    crop_id,
    source,
    label,
    labelled_at

from labels
qualify row_number() over (partition by crop_id, source order by labelled_at desc, label) = 1
order by crop_id, source
