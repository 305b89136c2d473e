-- The decision in effect of every source about every crop at `moment`, and of a reviewer's consensus
-- decisions the latest too: as `readings`, of which this is an earlier state.
--
-- Decisions of one reviewer about one crop form a stack: `undo` takes off the latest, and has no effect
-- when there is none. `depth` is the height of the stack after each row, so a decision is still on it
-- as long as the stack never gets lower than it was when the decision was put on.
create or replace macro readings_until(moment) as table

with reviewed as (
    select
        *,
        sum(if(decision = 'undo', -1, 1)) over history as steps

    from labels
    where
        source <> 'delivered'
        and labelled_at <= moment
    window
        history as (
            partition by crop_id, source
            order by labelled_at, batch, label
            rows unbounded preceding
        )
),

counted as (
    select
        *,
        steps - least(0, min(steps) over history) as depth

    from reviewed
    window
        history as (
            partition by crop_id, source
            order by labelled_at, batch, label
            rows unbounded preceding
        )
),

kept as (
    select * exclude (steps, depth)
    from counted
    window
        later as (
            partition by crop_id, source
            order by labelled_at, batch, label
            rows between 1 following and unbounded following
        )
    qualify
        decision <> 'undo'
        and depth <= coalesce(min(depth) over later, depth)
),

given as (
    select *
    from kept
    union all by name
    select *
    from labels
    where
        source = 'delivered'
        and labelled_at <= moment
)

select
    crop_id,
    scan_id,
    batch,
    source,
    decision,
    label,
    labelled_at

from given
qualify
    row_number() over (
        partition by crop_id, source, decision = 'consensus'
        -- The last two keys only make the order of ties deterministic.
        order by labelled_at desc, batch desc, label
    ) = 1
