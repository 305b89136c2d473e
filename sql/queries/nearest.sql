-- The crops whose embeddings are most similar to one crop's, by cosine, among the same trunk's.
-- topic: What to look at
-- $crop_id
-- $k = 10
-- $own_patient = false
-- $trunk = null
with asked as (
    select
        features.crop_id,
        features.patient_key,
        features.trunk,
        features.embedding

    from features
    left join champion on features.trunk = champion.trunk
    where
        features.crop_id = $crop_id
        and ($trunk::varchar is null or features.trunk = $trunk)
    -- A crop may have an embedding of every trunk: the champion's, else always the same one.
    order by (champion.trunk is not null) desc, features.trunk
    limit 1
),

others as (
    select
        features.crop_id,
        features.batch,
        features.patient_key,
        features.region_kind,
        features.tooth,
        list_cosine_similarity(features.embedding, asked.embedding) as cosine

    from features
    inner join asked on features.trunk = asked.trunk
    where
        features.crop_id <> asked.crop_id
        and ($own_patient::boolean or features.patient_key is distinct from asked.patient_key)
)

select
    others.crop_id,
    others.batch,
    others.patient_key,
    others.region_kind,
    others.tooth,
    labels_now.label,
    -- To an embedding of zeros there is none, and DuckDB would sort it first.
    if(isnan(others.cosine), 0, others.cosine) as similarity

from others
left join labels_now on others.crop_id = labels_now.crop_id
order by similarity desc, others.crop_id
limit $k::bigint
