-- The last label that came with each scan, whatever reviewers decided.
select
    crop_id,
    label

from labels
where source = 'delivered'
qualify row_number() over (partition by crop_id order by labelled_at desc, batch desc, label) = 1
order by crop_id
