-- The boxes that reviewers drew and that are in force: missed findings and moved boxes.
create or replace view regions_now as

with newest as (
    select
        scan_id || ':' || region as crop_id,
        * exclude (withdrawn, new)

    from regions
    where kind <> 'withdrawn'
    qualify row_number() over (partition by scan_id, region order by part desc) = 1
)

select newest.*
from newest
anti join withdrawn_crops on newest.crop_id = withdrawn_crops.crop_id
