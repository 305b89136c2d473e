-- A crop has one prediction per head.
select
    head,
    crop_id,
    count(*) as copies

from predictions
group by head, crop_id
having count(*) > 1
