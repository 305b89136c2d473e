-- Every label ever given, of the crop in force: of a moved box at its new place, of a withdrawn one none.
create or replace view placed_labels as

with recursive followed as (
    select
        crop_id,
        moved_to

    from withdrawn_crops
    where moved_to is not null
    union
    select
        followed.crop_id,
        withdrawn_crops.moved_to

    from followed
    inner join withdrawn_crops on followed.moved_to = withdrawn_crops.crop_id
    where withdrawn_crops.moved_to is not null
),

placed as (
    select *
    from labels
    union all
    select labels.* replace (followed.moved_to as crop_id)
    from labels
    inner join followed on labels.crop_id = followed.crop_id
)

select placed.*
from placed
anti join withdrawn_crops on placed.crop_id = withdrawn_crops.crop_id
