-- Scans by their ids, each with the ids before and after it in the store and all its regions.
-- $scans
with numbered as (
    select
        scan_id,
        lag(scan_id) over (order by scan_id) as before,
        lead(scan_id) over (order by scan_id) as after

    from (select distinct scan_id from scans where scan_id is not null)
),

regions as (
    select
        scan_id,
        region

    from features
    where list_contains($scans::varchar[], scan_id)
    union
    select
        scan_id,
        region

    from crops
    where list_contains($scans::varchar[], scan_id)
)

select
    regions.scan_id,
    any_value(numbered.before) as before,
    any_value(numbered.after) as after,
    list(distinct regions.region) as regions

from regions
left join numbered on regions.scan_id = numbered.scan_id
group by regions.scan_id
