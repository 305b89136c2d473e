-- Every crop that can be reviewed, with what its card shows: place, scores, labels, quality.
-- $batch = null
-- $limit = null
--
-- In the order of the work-list; reviewed crops, and all of a store without a head, come after it.
with chosen as (
    -- The champion's embeddings; before the first champion, always the same trunk's.
    select features.* exclude (embedding)
    from features
    left join champion on features.trunk = champion.trunk
    where $batch::varchar is null or features.batch = $batch
    qualify
        dense_rank() over (order by (champion.trunk is not null) desc, features.trunk) = 1
),

quality as (
    select
        scan_id,
        any_value(quality_flags) as quality_flags,
        any_value(modality) as modality

    from scans_now
    where status = 'accepted'
    group by scan_id
),

doubts as (
    select
        out_of_fold.crop_id,
        out_of_fold.label,
        out_of_fold.suggested,
        out_of_fold.self_confidence

    from out_of_fold
    semi join champion on out_of_fold.head = champion.head
)

select
    chosen.crop_id,
    chosen.scan_id,
    chosen.batch,
    chosen.part,
    chosen.recipe,
    chosen.trunk,
    chosen.patient_key,
    chosen.region,
    chosen.region_kind,
    chosen.tooth,
    chosen.tooth_guess,
    chosen.tooth_confidence,
    chosen.box_x,
    chosen.box_y,
    chosen.box_w,
    chosen.box_h,
    chosen.region_x,
    chosen.region_y,
    chosen.region_w,
    chosen.region_h,
    chosen.scan_w,
    chosen.scan_h,
    chosen.modality,
    chosen.panoramic,
    predictions_now.predicted,
    predictions_now.probabilities,
    predictions_now.p_abnormal,
    predictions_now.flagged,
    predictions_now.seen,
    repeated_places.crop_id is not null as again,
    audits.crop_id is not null as audit,
    novelty_places.novelty_place,
    quality.quality_flags,
    labels_now.label,
    labels_now.source,
    doubts.suggested,
    doubts.self_confidence,
    count(*) over () as all_crops

from chosen
left join predictions_now on chosen.crop_id = predictions_now.crop_id
left join worklist on chosen.crop_id = worklist.crop_id
left join repeated_places on chosen.crop_id = repeated_places.crop_id
left join audits on chosen.crop_id = audits.crop_id
left join novelty_places
    on chosen.trunk = novelty_places.trunk and chosen.crop_id = novelty_places.crop_id
left join quality on chosen.scan_id = quality.scan_id
left join labels_now on chosen.crop_id = labels_now.crop_id
-- A label that was corrected since is no candidate any more.
left join doubts on chosen.crop_id = doubts.crop_id and labels_now.label = doubts.label
order by worklist.rank nulls last, chosen.batch, chosen.scan_id, chosen.crop_id
limit $limit::bigint
