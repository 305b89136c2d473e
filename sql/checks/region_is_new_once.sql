-- The crop of a drawn box belongs to one part.
select
    part,
    scan_id,
    region

from regions
where new
qualify count(*) over (partition by scan_id, region) > 1
