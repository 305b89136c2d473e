-- Every decision of a reviewer that is in effect, the latest last.
select
    crop_id,
    source as reviewer,
    decision,
    label

from readings
where source <> 'delivered'
order by labelled_at, crop_id, reviewer
