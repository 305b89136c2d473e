-- What is least like normal first, found without labels: by two scores, and where it peaks.
-- $batch = null
-- $trunk = null
-- $limit = 20
with of_one_trunk as (
    -- The champion's trunk, else the one whose model is the newest.
    select novelty_now.*
    from novelty_now
    left join champion on novelty_now.trunk = champion.trunk
    where $trunk::varchar is null or novelty_now.trunk = $trunk
    qualify
        dense_rank() over (
            order by (champion.trunk is not null) desc, novelty_now.number desc
        ) = 1
),

-- Crops that the model learned from look less novel than they are, so every crop is placed among
-- those of its own kind: 0 is the least novel, 1 the most.
placed as (
    select
        *,
        percent_rank() over (partition by learned order by gaussian) as gaussian_place,
        percent_rank() over (partition by learned order by neighbour) as neighbour_place

    from of_one_trunk
)

select
    placed.batch,
    placed.crop_id,
    placed.patient_key,
    features.region_kind,
    features.tooth,
    placed.gaussian,
    placed.neighbour,
    (placed.gaussian_place + placed.neighbour_place) / 2 as novelty_place,
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
