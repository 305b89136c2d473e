-- Crops about which reviewers disagree: they have no label until a consensus or until these agree.
-- topic: Crops and labels
-- $batch = null
select
    disputes.batch,
    readings.crop_id,
    string_agg(readings.source || ': ' || readings.label, ', ' order by readings.source) as labels,
    audits.crop_id is not null as audit,
    disputes.labelled_at as since

from labels_until('infinity'::timestamptz) as disputes
inner join readings on disputes.crop_id = readings.crop_id
left join audits on disputes.crop_id = audits.crop_id
where
    disputes.disputed
    and readings.decision in ('label', 'consensus')
    and ($batch::varchar is null or disputes.batch = $batch)
group by disputes.batch, readings.crop_id, audits.crop_id, disputes.labelled_at
order by since, readings.crop_id
