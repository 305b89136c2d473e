-- Crops and reviewers whose last decision about the crop is to undo the one before.
select
    crop_id,
    source

from labels
where source <> 'delivered'
qualify
    row_number() over (partition by crop_id, source order by labelled_at desc, batch desc, label) = 1
    and decision = 'undo'
order by crop_id, source
