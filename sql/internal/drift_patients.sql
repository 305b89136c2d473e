-- Patients of every batch by modality, as drift counts them.
select
    batch,
    drift_modality(panoramic, modality) as modality,
    count(distinct patient_key) as patients

from scans_now
where status = 'accepted'
group by all
order by batch, modality
