-- The crops whose embeddings are most similar to one crop's, by cosine, among the same trunk's.
-- topic: What to look at
-- $crop_id
-- $k = 10
-- $own_patient = false
-- $trunk = null
--
-- Finds the embedding to compare with; the catalog hands it to pipeline/store/neighbours.py, which
-- compares it with all others in less time and memory than DuckDB takes.
select
    features.crop_id,
    features.trunk,
    $k::bigint as k,
    $own_patient::boolean as own_patient

from features
left join champion on features.trunk = champion.trunk
where
    features.crop_id = $crop_id
    and ($trunk::varchar is null or features.trunk = $trunk)
-- A crop may have an embedding of every trunk: the champion's, else always the same one.
order by (champion.trunk is not null) desc, features.trunk
limit 1
