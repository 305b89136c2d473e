-- Whether batches differ from the reference by more than chance, the most surprising fact first.
-- topic: Deliveries
-- $batch = null
-- $alert = null
select
    batch,
    reference,
    modality,
    state,
    patients,
    reference_patients,
    fact,
    distance,
    by_chance,
    p_value,
    alert,
    words

from drift
where
    ($batch::varchar is null or batch = $batch)
    and ($alert::boolean is null or alert = $alert)
order by batch, reference, modality, p_value, fact
