-- Crops out of force: withdrawn by a reviewer, or moved to another place (`moved_to`, a crop_id).
--
-- The views of crops, embeddings and scores are without them. The newest decision about a region wins,
-- so one that was taken back counts no more, and a box that is moved back to where it was before is in
-- force again: a move is void when its first place was drawn again later.
--
-- A table, made when the store is opened: nearly every other view reads it, and as a view it took half of
-- the time that they were planned in.
create or replace table withdrawn_crops as

with newest as (
    select *
    from regions
    qualify row_number() over (partition by scan_id, region order by part desc) = 1
),

moves as (
    select *
    from regions
    where replaces is not null
    qualify row_number() over (partition by scan_id, region, replaces order by part desc) = 1
),

moved as (
    select moves.*
    from moves
    left join newest
        on
            moves.scan_id = newest.scan_id
            and moves.replaces = newest.region
    where
        not moves.withdrawn
        and moves.part > coalesce(newest.part, -1)
)

select
    scan_id || ':' || region as crop_id,
    scan_id,
    source,
    drawn_at,
    null::varchar as moved_to

from newest
where withdrawn
union all
select
    scan_id || ':' || replaces as crop_id,
    scan_id,
    source,
    drawn_at,
    scan_id || ':' || region as moved_to

from moved
