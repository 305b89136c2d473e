-- The label in force of every crop that has one.
--
-- A reviewer's label beats a delivered one, then the newest wins; null withdraws.
create or replace view labels_now as

with latest as (
    select
        crop_id,
        scan_id,
        batch,
        label,
        source,
        labelled_at

    from labels
    qualify
        row_number() over (
            partition by crop_id
            -- The last two keys only make the order of ties deterministic.
            order by (source <> 'delivered') desc, labelled_at desc, batch desc, label
        ) = 1
)

select *
from latest
where label is not null
