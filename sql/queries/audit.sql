-- How many crops are abnormal and how often a flag is right, by the crops drawn for the audit.
-- topic: Models and scores
-- $batch = null
--
-- Nights count once all their crops are reviewed: which half a reviewer did is no random choice. A crop
-- that reviewers were unsure about is reviewed but in no share; one in dispute is not reviewed yet.
-- Each night counts equally, however many scans it had. A flag is that of the newest promoted head
-- which had not learned from the patient, so that labels of the audit may be learned from later.
-- Intervals are Wilson's, 95 %.
with read as (
    select
        crop_id,
        bool_and(decision = 'unsure') as unsure

    from readings
    group by crop_id
),

drawn as (
    select
        audits.batch,
        audits.night,
        audits.crop_id,
        audits.patient_key,
        labels_now.label <> head_files.normal_class as abnormal,
        coalesce(read.unsure, false) as unsure,
        bool_and(coalesce(labels_now.source, 'delivered') <> 'delivered' or coalesce(read.unsure, false))
            over (partition by audits.batch, audits.night) as complete

    from audits
    cross join champion
    inner join head_files on champion.head = head_files.head
    -- Crops whose batch was taken back may come again with another.
    semi join features on audits.crop_id = features.crop_id
    left join labels_now on audits.crop_id = labels_now.crop_id
    left join read on audits.crop_id = read.crop_id
    where $batch::varchar is null or audits.batch = $batch
),

verdicts as (
    select
        predictions.crop_id,
        predictions.flagged

    from predictions
    inner join promotions on predictions.head = promotions.head
    semi join drawn on predictions.crop_id = drawn.crop_id
    where not predictions.seen
    qualify row_number() over (partition by predictions.crop_id order by promotions.number desc) = 1
),

counted as (
    select
        count(distinct (drawn.batch, drawn.night)) filter (where drawn.complete) as nights,
        count(distinct (drawn.batch, drawn.night)) filter (where not drawn.complete) as open_nights,
        count(*) filter (where drawn.complete and not drawn.unsure) as crops,
        count(*) filter (where drawn.complete and drawn.unsure) as unsure,
        count(distinct drawn.patient_key) filter (where drawn.complete and not drawn.unsure) as patients,
        count(*) filter (where drawn.complete and not drawn.unsure and drawn.abnormal) as abnormal,
        count(*) filter (where drawn.complete and not drawn.unsure and verdicts.flagged) as flagged,
        count(*) filter (
            where drawn.complete and not drawn.unsure and verdicts.flagged and drawn.abnormal
        ) as flagged_abnormal

    from drawn
    left join verdicts on drawn.crop_id = verdicts.crop_id
    having count(*) > 0
)

select
    nights,
    open_nights,
    crops,
    unsure,
    patients,
    abnormal,
    abnormal / nullif(crops, 0) as prevalence,
    wilson_low(abnormal, crops) as prevalence_low,
    wilson_high(abnormal, crops) as prevalence_high,
    flagged,
    flagged_abnormal,
    flagged_abnormal / nullif(flagged, 0) as ppv,
    wilson_low(flagged_abnormal, flagged) as ppv_low,
    wilson_high(flagged_abnormal, flagged) as ppv_high

from counted
