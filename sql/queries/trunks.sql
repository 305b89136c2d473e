-- Embeddings that every trunk made, and whether it is the champion's.
-- topic: Models and scores
select
    features.trunk,
    count(*) as embeddings,
    count(distinct features.batch) as batches,
    count(distinct features.patient_key) as patients,
    count(champion.trunk) > 0 as is_champion

from features
left join champion on features.trunk = champion.trunk
group by features.trunk
order by features.trunk
