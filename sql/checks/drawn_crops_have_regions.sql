-- Every crop and embedding of a drawn box is of a box that a reviewer drew, in the part of that number.
with drawn as (
    select
        batch,
        part,
        crop_id

    from crops
    where region_kind = 'drawn'
    union
    select
        batch,
        part,
        crop_id

    from features
    where region_kind = 'drawn'
)

select drawn.*
from drawn
anti join regions
    on
        drawn.batch = regions.batch
        and drawn.part = regions.part
        and drawn.crop_id = regions.scan_id || ':' || regions.region
        and regions.new
