-- A novelty model scores every crop once.
select
    novelty,
    crop_id,
    count(*) as copies

from novelty
group by novelty, crop_id
having count(*) > 1
