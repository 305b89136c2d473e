-- A few crops to look at, one of each scan, always the same ones.
-- topic: What to look at
-- $batch = null
-- $recipe = null
-- $limit = 8
with one_of_each as (
    select *
    from crops
    where
        ($batch::varchar is null or batch = $batch)
        and ($recipe::varchar is null or recipe = $recipe)
    -- By digest: in the order of their names the crops of a panoramic are all of one edge.
    qualify row_number() over (partition by scan_id order by md5(crop_id), recipe) = 1
)

select
    one_of_each.* exclude (label),
    labels_now.label

from one_of_each
left join labels_now on one_of_each.crop_id = labels_now.crop_id
order by md5(one_of_each.crop_id)
limit $limit::bigint
