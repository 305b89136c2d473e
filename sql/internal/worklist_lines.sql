-- The work-list in the few columns that a person reads.
-- $batch = null
-- $limit = null
-- $reviewer = null
-- $double_read = "audit"
--
-- `flags`: flagged by the champion; audit, drawn by chance; seen in training; repeat, a likelier
-- place of the same tooth is listed; novel, among the most novel hundredth; quality flags. What models
-- think of audit crops is left out: labels that follow it would measure the head by itself.
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
    if(worklist.audit, null, worklist.predicted) as predicted,
    if(worklist.audit, null, worklist.p_abnormal) as p,
    list_concat(
        list_filter(
            [
                if(worklist.flagged and not worklist.audit, 'flagged', null),
                if(worklist.audit, 'audit', null),
                if(worklist.seen, 'seen', null),
                if(worklist.again and not worklist.audit, 'repeat', null),
                if(novel.crop_id is not null and not worklist.audit, 'novel', null)
            ],
            lambda word: word is not null
        ),
        coalesce(quality.quality_flags, [])
    ) as flags,
    worklist.label as delivered,
    worklist.batch

from worklist_of($reviewer::varchar, $double_read::varchar) as worklist
left join quality on worklist.scan_id = quality.scan_id
left join novel on worklist.crop_id = novel.crop_id
where $batch::varchar is null or worklist.batch = $batch
order by worklist.rank
limit $limit::bigint
