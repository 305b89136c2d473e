-- A crop is cut once per recipe.
select
    recipe,
    crop_id,
    count(*) as copies

from crops
group by recipe, crop_id
having count(*) > 1
