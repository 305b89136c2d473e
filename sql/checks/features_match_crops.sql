-- Where a part has both, features and crops are of the same crops. A missing crops part is not an
-- error, since crops are a cache.
with crop_parts as (
    select distinct
        recipe,
        batch,
        part

    from crops
),

feature_parts as (
    select distinct
        trunk,
        recipe,
        batch,
        part

    from features
),

expected as (
    select
        feature_parts.trunk,
        crops.batch,
        crops.part,
        crops.crop_id

    from crops
    inner join feature_parts
        on
            crops.recipe = feature_parts.recipe
            and crops.batch = feature_parts.batch
            and crops.part = feature_parts.part
),

found as (
    select
        features.trunk,
        features.batch,
        features.part,
        features.crop_id

    from features
    semi join crop_parts
        on
            features.recipe = crop_parts.recipe
            and features.batch = crop_parts.batch
            and features.part = crop_parts.part
)

select
    coalesce(expected.trunk, found.trunk) as trunk,
    coalesce(expected.batch, found.batch) as batch,
    coalesce(expected.part, found.part) as part,
    coalesce(expected.crop_id, found.crop_id) as crop_id,
    if(found.crop_id is null, 'no embedding', 'no crop') as fault

from expected
full join found
    on
        expected.trunk = found.trunk
        and expected.batch = found.batch
        and expected.part = found.part
        and expected.crop_id = found.crop_id
where expected.crop_id is null or found.crop_id is null
