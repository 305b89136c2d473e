-- The most novel crops first, found without labels: two scores, and where they peak.
-- topic: What to look at
-- $batch = null
-- $trunk = null
-- $limit = 20
with placed as (
    -- The champion's trunk, else the one whose model is the newest.
    select novelty_places.*
    from novelty_places
    left join champion on novelty_places.trunk = champion.trunk
    where $trunk::varchar is null or novelty_places.trunk = $trunk
    qualify
        dense_rank() over (
            order by (champion.trunk is not null) desc, novelty_places.number desc
        ) = 1
)

select
    placed.batch,
    placed.crop_id,
    placed.patient_key,
    features.region_kind,
    features.tooth,
    placed.gaussian,
    placed.neighbour,
    placed.novelty_place,
    placed.peak_row,
    placed.peak_column,
    placed.learned,
    labels_now.label

from placed
left join features
    on
        placed.trunk = features.trunk
        and placed.crop_id = features.crop_id
left join labels_now on placed.crop_id = labels_now.crop_id
where $batch::varchar is null or placed.batch = $batch
order by novelty_place desc, placed.crop_id
limit $limit::bigint
