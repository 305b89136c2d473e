-- What to label next so that a head learns most: uncertain, unusual, and spread over patients.
-- topic: What to look at
-- $batch = null
-- $limit = 20
--
-- From stored scores and patients alone. A crop's worth is the entropy of its probabilities (0 to 1),
-- plus half of how novel it is, plus half of how rare labels of its kind (modality, place, tooth) are,
-- divided by its turn: the labels its patient has, and the worthier crops of the patient before it.
-- Crops with a label, crops that a reviewer read, even if unsure, and repeats of a place are left out; so
-- are audit crops, which are drawn by chance and must not be ordered by a score.
with read as (
    select crop_id
    from readings
    where
        source <> 'delivered'
        and decision <> 'withdraw'
),

kinds as (
    select
        features.crop_id,
        features.tooth,
        features.region_kind,
        features.modality,
        coalesce(features.tooth, features.tooth_guess) as any_tooth,
        features.patient_key,
        labels_now.label is not null as is_labelled

    from features
    semi join champion on features.trunk = champion.trunk
    left join labels_now on features.crop_id = labels_now.crop_id
),

alike as (
    select
        *,
        count(distinct patient_key) filter (where is_labelled)
            over (partition by modality, region_kind, any_tooth) as labelled_alike,
        count(*) filter (where is_labelled) over (partition by patient_key) as labelled_of_patient

    from kinds
),

valued as (
    select
        predictions_now.batch,
        predictions_now.crop_id,
        predictions_now.patient_key,
        alike.tooth,
        predictions_now.predicted,
        predictions_now.p_abnormal,
        coalesce(
            list_sum(
                list_transform(
                    predictions_now.probabilities,
                    lambda p: if(p > 0, -p * ln(p), 0)
                )
            )
            / nullif(ln(len(predictions_now.probabilities)), 0),
            0
        ) as uncertainty,
        novelty_places.novelty_place,
        alike.labelled_alike,
        alike.labelled_of_patient

    from predictions_now
    inner join alike on predictions_now.crop_id = alike.crop_id
    left join novelty_places
        on
            predictions_now.trunk = novelty_places.trunk
            and predictions_now.crop_id = novelty_places.crop_id
    anti join read on predictions_now.crop_id = read.crop_id
    anti join audits on predictions_now.crop_id = audits.crop_id
    anti join repeated_places on predictions_now.crop_id = repeated_places.crop_id
    where not alike.is_labelled
),

worth as (
    select
        *,
        uncertainty + coalesce(novelty_place, 0) / 2 + 0.5 / (1 + labelled_alike) as alone

    from valued
),

spread as (
    select
        *,
        alone
        / (
            labelled_of_patient
            + row_number() over (partition by patient_key order by alone desc, crop_id)
        ) as value

    from worth
)

select
    row_number() over (order by value desc, crop_id) as rank,
    batch,
    crop_id,
    patient_key,
    tooth,
    predicted,
    p_abnormal,
    uncertainty,
    novelty_place,
    labelled_alike,
    labelled_of_patient,
    value

from spread
where $batch::varchar is null or batch = $batch
order by rank
limit $limit::bigint
