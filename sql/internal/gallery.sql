-- The first crops of a batch's work-list with what their cards show.
-- $batch
-- $limit = 48
with quality as (
    select
        scan_id,
        any_value(quality_flags) as quality_flags

    from scans_now
    where status = 'accepted'
    group by scan_id
)

select
    worklist.*,
    predictions_now.probabilities,
    quality.quality_flags

from worklist
left join predictions_now on worklist.crop_id = predictions_now.crop_id
left join quality on worklist.scan_id = quality.scan_id
where worklist.batch = $batch
order by worklist.rank
limit $limit::bigint
