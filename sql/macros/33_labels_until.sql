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
    where decision in ('consensus', 'withdraw')
    group by crop_id
),

reviewed as (
    select
        decided.*,
        coalesce(min(decided.label) over crop <> max(decided.label) over crop, false) as disputed

    from decided
    left join settled on decided.crop_id = settled.crop_id
    where
        settled.settled_at is null
        or decided.labelled_at >= settled.settled_at
    window crop as (partition by decided.crop_id)
    -- The last two keys only make the order of ties deterministic.
    qualify
        row_number() over (
            partition by decided.crop_id
            order by decided.labelled_at desc, decided.batch desc, decided.label
        ) = 1
),

delivered as (
    select
        * exclude (decision),
        false as disputed

    from labels
    anti join reviewed on labels.crop_id = reviewed.crop_id
    where
        source = 'delivered'
        and labelled_at <= moment
    qualify
        row_number() over (partition by crop_id order by labelled_at desc, batch desc, label) = 1
)

select
    crop_id,
    scan_id,
    batch,
    if(disputed, null, label) as label,
    source,
    labelled_at,
    disputed

from reviewed
union all by name
select *
from delivered
