-- One row per delivered file: its status, patient, likeliest abnormal place and flags.
-- topic: Deliveries
-- $batch = null
--
-- `p` is the highest probability of abnormal among the crops of the scan, by the champion; `predicted`,
-- `tooth` and `crop_id` are those of that crop. A tooth marked ? is a guess from the place. `flags`:
-- flagged by the champion, seen in training, novel, label_problems, and those of the scan's quality.
with places as (
    select
        predictions_now.scan_id,
        predictions_now.crop_id,
        predictions_now.predicted,
        predictions_now.p_abnormal,
        predictions_now.flagged,
        predictions_now.seen,
        coalesce(features.tooth::varchar, features.tooth_guess::varchar || '?') as tooth,
        coalesce(novelty_places.novelty_place >= 0.99, false) as novel

    from predictions_now
    left join features
        on
            predictions_now.crop_id = features.crop_id
            and predictions_now.trunk = features.trunk
    left join novelty_places
        on
            predictions_now.crop_id = novelty_places.crop_id
            and predictions_now.trunk = novelty_places.trunk
),

worst as (
    select
        scan_id,
        arg_max(crop_id, (p_abnormal, crop_id)) as crop_id,
        arg_max(coalesce(tooth, ''), (p_abnormal, crop_id)) as tooth,
        arg_max(predicted, (p_abnormal, crop_id)) as predicted,
        max(p_abnormal) as p,
        bool_or(flagged) as flagged,
        bool_or(seen) as seen,
        bool_or(novel) as novel

    from places
    group by scan_id
)

select
    scans_now.batch,
    scans_now.part,
    scans_now."row",
    scans_now.scan_id,
    scans_now.status,
    scans_now.reason,
    scans_now.detail,
    scans_now.patient_key,
    scans_now.patient_from,
    nullif(worst.tooth, '') as tooth,
    worst.predicted,
    worst.p,
    list_concat(
        list_filter(
            [
                if(worst.flagged, 'flagged', null),
                if(worst.seen, 'seen', null),
                if(worst.novel, 'novel', null),
                if(scans_now.label_problems > 0, 'label_problems', null)
            ],
            lambda word: word is not null
        ),
        coalesce(scans_now.quality_flags, [])
    ) as flags,
    worst.crop_id

from scans_now
left join worst
    on
        scans_now.scan_id = worst.scan_id
        and scans_now.status <> 'rejected'
where $batch::varchar is null or scans_now.batch = $batch
order by scans_now.batch, scans_now.part, scans_now."row"
