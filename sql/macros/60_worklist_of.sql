-- Crops to look at: those of patients unseen in training first, then by probability of abnormal.
-- Repeats, which show the tooth of a more probable place again, come after all others. Crops of the
-- audit are among the first of their batch, whatever their score: one after every third.
--
-- A reviewer's label takes a crop off the list (see `open_crops`). A delivered label does not: it came
-- with the scan and may be wrong, and where every scan is delivered with labels nothing would be left.
-- `label` is the delivered one alone, so that a second reader does not see what the first decided.
create or replace macro worklist_of(reviewer, double_read) as table

with places as (
    select
        features.crop_id,
        features.region,
        features.region_kind,
        features.tooth,
        features.tooth_guess,
        features.tooth_confidence,
        features.box_x,
        features.box_y,
        features.box_w,
        features.box_h,
        features.region_x,
        features.region_y,
        features.region_w,
        features.region_h

    from features
    semi join champion on features.trunk = champion.trunk
),

listed as (
    select
        predictions_now.*,
        audits.crop_id is not null as audit,
        repeated_places.crop_id is not null as again,
        if(labels_now.source = 'delivered', labels_now.label, null) as label

    from predictions_now
    semi join open_crops(reviewer, double_read) as open on predictions_now.crop_id = open.crop_id
    left join audits on predictions_now.crop_id = audits.crop_id
    left join labels_now on predictions_now.crop_id = labels_now.crop_id
    left join repeated_places on predictions_now.crop_id = repeated_places.crop_id
),

numbered as (
    select
        *,
        row_number() over (
            partition by batch, audit
            order by seen, again, p_abnormal desc, crop_id
        ) as number,
        count(*) filter (where not audit) over (partition by batch) as ranked

    from listed
),

-- The sort keys of a crop: of the crop that an audit crop follows, else its own.
placed as (
    select
        numbered.*,
        coalesce(before.seen, numbered.seen) as sort_seen,
        coalesce(before.again, numbered.again) as sort_again,
        coalesce(before.p_abnormal, numbered.p_abnormal) as sort_p_abnormal

    from numbered
    left join numbered as before
        on
            numbered.audit
            and not before.audit
            and before.batch = numbered.batch
            and before.number = least(3 * numbered.number, numbered.ranked)
)

select
    row_number() over (
        order by
            placed.sort_seen,
            placed.sort_again,
            placed.sort_p_abnormal desc,
            placed.audit,
            placed.crop_id
    ) as rank,
    placed.batch,
    placed.crop_id,
    placed.scan_id,
    placed.patient_key,
    places.* exclude (crop_id),
    placed.predicted,
    placed.p_abnormal,
    placed.flagged,
    placed.seen,
    placed.again,
    placed.audit,
    placed.label

from placed
left join places on placed.crop_id = places.crop_id
