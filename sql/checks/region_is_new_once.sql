-- The crop of a drawn box belongs to one part.
select
    scan_id,
    region,
    count(*) as copies

from regions
where new
group by scan_id, region
having count(*) > 1
