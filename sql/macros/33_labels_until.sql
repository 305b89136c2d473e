-- The label in force of every crop at `moment`, as `labels_now`; null when it was withdrawn or is
-- disputed. Crops about which no label was given or withdrawn have no row.
create or replace macro labels_until(moment) as table

with decided as (
    select *
    from readings_until(moment)
    where decision <> 'unsure'
),

-- A consensus or a withdrawal settles what was decided before it.
settled as (
    select
        crop_id,
        max(labelled_at) as settled_at

    from decided
    where
        source <> 'delivered'
        and decision in ('consensus', 'withdraw')
    group by crop_id
),

ranked as (
    select
        decided.*,
        row_number() over (
            partition by decided.crop_id
            -- The last two keys only make the order of ties deterministic.
            order by
                (decided.source <> 'delivered') desc,
                decided.labelled_at desc,
                decided.batch desc,
                decided.label
        ) as place,
        coalesce(
            min(decided.label) filter (where decided.source <> 'delivered') over crop
            <> max(decided.label) filter (where decided.source <> 'delivered') over crop,
            false
        ) as disputed

    from decided
    left join settled on decided.crop_id = settled.crop_id
    where
        decided.source = 'delivered'
        or settled.settled_at is null
        or decided.labelled_at >= settled.settled_at
    window crop as (partition by decided.crop_id)
)

select
    crop_id,
    scan_id,
    batch,
    if(disputed, null, label) as label,
    source,
    labelled_at,
    disputed

from ranked
where place = 1
