-- The decision in effect of every reviewer about every crop at `moment`, and their latest consensus about
-- it too: `readings`, as they were then.
--
-- Decisions of one reviewer about one crop form a stack: `undo` takes off the latest, and has no effect
-- when there is none. So a decision is still on it if the stack was never lower afterwards.
create or replace macro readings_until(moment) as table

with given as (
    select
        *,
        count(*) filter (where decision = 'undo') over (partition by crop_id, source) > 0 as has_undo

    from labels
    where
        source <> 'delivered'
        and labelled_at <= moment
),

stacked as (
    select
        *,
        sum(if(decision = 'undo', -1, 1)) over (
            partition by crop_id, source
            order by labelled_at, batch, label
            rows unbounded preceding
        ) as height

    from given
    where has_undo
),

kept as (
    select * exclude (height)
    from stacked
    window
        later as (
            partition by crop_id, source
            order by labelled_at, batch, label
            rows between 1 following and unbounded following
        )
    qualify
        decision <> 'undo'
        and height <= coalesce(min(height) over later, height)
    union all by name
    select *
    from given
    where not has_undo
)

select
    crop_id,
    scan_id,
    batch,
    source,
    decision,
    label,
    labelled_at

from kept
qualify
    row_number() over (
        partition by crop_id, source, decision = 'consensus'
        -- The last two keys only make the order of ties deterministic.
        order by labelled_at desc, batch desc, label
    ) = 1
