-- How often two reviewers who read the same crops agree, with Cohen's kappa and 95 % intervals.
-- topic: Models and scores
-- $batch = null
--
-- Finds the crops that both labelled, each by the label of theirs that is in effect; a consensus is no
-- reading. pipeline/model/scores/agreement.py counts them, by draws of patients.
with labelled as (
    select
        readings.crop_id,
        readings.source,
        readings.label,
        readings.batch,
        patients.patient_key

    from readings
    inner join (
        select distinct
            crop_id,
            patient_key

        from features
    ) as patients
        on readings.crop_id = patients.crop_id
    where readings.decision = 'label'
)

select
    one.source as one,
    other.source as other,
    one.crop_id,
    one.patient_key,
    one.label as one_label,
    other.label as other_label

from labelled as one
inner join labelled as other
    on
        one.crop_id = other.crop_id
        and one.source < other.source
where $batch::varchar is null or one.batch = $batch
order by one, other, one.crop_id
