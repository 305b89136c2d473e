-- Alerts of drift, audit and reviewed crops of every batch.
with alarming as (
    select
        batch,
        count(distinct modality) as alerts

    from drift
    where alert
    group by batch
),

drawn as (
    select
        audits.batch,
        count(*) as drawn,
        count(labels_now.label) filter (where labels_now.source <> 'delivered') as reviewed,
        count(*) filter (
            where labels_now.source <> 'delivered' and labels_now.label <> head_files.normal_class
        ) as abnormal

    from audits
    cross join champion
    inner join head_files on champion.head = head_files.head
    left join labels_now on audits.crop_id = labels_now.crop_id
    group by audits.batch
),

known as (
    select distinct batch
    from scans
)

select
    known.batch,
    coalesce(alarming.alerts, 0) as alerts,
    coalesce(drawn.drawn, 0) as drawn,
    coalesce(drawn.reviewed, 0) as reviewed,
    coalesce(drawn.abnormal, 0) as abnormal,
    wilson_low(drawn.abnormal, drawn.reviewed) as low,
    wilson_high(drawn.abnormal, drawn.reviewed) as high

from known
left join alarming on known.batch = alarming.batch
left join drawn on known.batch = drawn.batch
order by known.batch
