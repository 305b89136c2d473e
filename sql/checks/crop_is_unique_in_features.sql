-- A crop has one embedding per trunk.
select
    trunk,
    crop_id,
    count(*) as copies

from features
group by trunk, crop_id
having count(*) > 1
