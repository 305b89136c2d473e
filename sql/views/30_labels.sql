-- Every label ever given and every decision of a reviewer, by the crop in force that it is about now:
-- those of a moved box are at its new place, those of a withdrawn crop are left out.
--
-- Parts of earlier versions have no decision: a row there labels, or withdraws when its label is null.
create or replace view labels as

with recursive moved as (
    select
        crop_id,
        moved_to

    from withdrawn_crops
    where moved_to is not null
    union
    select
        moved.crop_id,
        withdrawn_crops.moved_to

    from moved
    inner join withdrawn_crops on moved.moved_to = withdrawn_crops.crop_id
    where withdrawn_crops.moved_to is not null
),

-- While the parts of decisions are packed into one, and after a kill then, some rows are there twice.
given as (
    select
        * exclude (filename)
        replace (coalesce(decision, if(label is null, 'withdraw', 'label')) as decision)

    from labels_parts
    where source = 'delivered'
    union all
    select distinct
        * exclude (filename)
        replace (coalesce(decision, if(label is null, 'withdraw', 'label')) as decision)

    from labels_parts
    where source <> 'delivered'
),

placed as (
    select *
    from given
    union all
    select given.* replace (moved.moved_to as crop_id)
    from given
    inner join moved on given.crop_id = moved.crop_id
)

select placed.*
from placed
anti join withdrawn_crops on placed.crop_id = withdrawn_crops.crop_id
