-- The work-list in the few columns that a person reads.
-- $limit = null
--
-- `flags`: flagged by the champion; audit, drawn by chance; seen in training; repeat, a likelier
-- place of the same tooth is listed; novel, among the most novel hundredth; quality flags.
with quality as (
    select
        scan_id,
        any_value(quality_flags) as quality_flags

    from scans_now
    where status = 'accepted'
    group by scan_id
),

novel as (
    select novelty_places.crop_id
    from novelty_places
    semi join champion on novelty_places.trunk = champion.trunk
    where novelty_places.novelty_place >= 0.99
)

select
    worklist.rank,
    worklist.crop_id,
    worklist.scan_id,
    -- A guess is marked: it comes from the place on the panoramic alone.
    coalesce(worklist.tooth::varchar, worklist.tooth_guess::varchar || '?') as tooth,
    worklist.predicted,
    worklist.p_abnormal as p,
    list_concat(
        list_filter(
            [
                if(worklist.flagged, 'flagged', null),
                if(worklist.audit, 'audit', null),
                if(worklist.seen, 'seen', null),
                if(worklist.again, 'repeat', null),
                if(novel.crop_id is null, null, 'novel')
            ],
            lambda word: word is not null
        ),
        coalesce(quality.quality_flags, [])
    ) as flags,
    worklist.label,
    worklist.batch

from worklist
left join quality on worklist.scan_id = quality.scan_id
left join novel on worklist.crop_id = novel.crop_id
order by worklist.rank
limit $limit::bigint
