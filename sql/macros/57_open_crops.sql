-- Crops that the champion predicted and that `reviewer` has to read; of the whole store.
--
-- Without a reviewer: what none has read, by label or `unsure`. For a reviewer: what they have not read
-- and what still needs a reader, which is one for most crops and two for those that `double_read`
-- names (audit, all or none). A withdrawal asks for a crop again; after a consensus none is asked.
create or replace macro open_crops(reviewer, double_read) as table

with withdrawn as (
    select
        crop_id,
        max(labelled_at) as withdrawn_at

    from readings
    where decision = 'withdraw'
    group by crop_id
),

reads as (
    select
        readings.crop_id,
        count(*) filter (where readings.decision = 'label') as labels,
        bool_or(readings.source = reviewer and readings.decision <> 'consensus') as is_own,
        bool_or(readings.decision = 'consensus') as is_settled

    from readings
    left join withdrawn on readings.crop_id = withdrawn.crop_id
    where
        readings.decision <> 'withdraw'
        and (withdrawn.withdrawn_at is null or readings.labelled_at > withdrawn.withdrawn_at)
    group by readings.crop_id
)

select predictions_now.crop_id
from predictions_now
left join audits on predictions_now.crop_id = audits.crop_id
left join reads on predictions_now.crop_id = reads.crop_id
where
    reads.crop_id is null
    or (
        reviewer is not null
        and not reads.is_own
        and not reads.is_settled
        and reads.labels
        < if(double_read = 'all' or (double_read = 'audit' and audits.crop_id is not null), 2, 1)
    )
