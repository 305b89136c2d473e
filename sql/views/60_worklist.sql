-- What to look at, in this order: unseen in training first, then the likeliest abnormal. What shows
-- the tooth of a likelier place again comes after all that is new. Crops of the audit stand among
-- the first of their batch, whatever their score: one after every third.
--
-- What a reviewer has labelled has left the list. A delivered label takes nothing off it: it came
-- with the scan and may be wrong, and where everything came labelled nothing would be left.
create or replace view worklist as

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
        labels_now.label

    from predictions_now
    left join audits on predictions_now.crop_id = audits.crop_id
    left join labels_now on predictions_now.crop_id = labels_now.crop_id
    left join repeated_places on predictions_now.crop_id = repeated_places.crop_id
    where labels_now.source is null or labels_now.source = 'delivered'
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

-- Behind which crop of its batch a crop of the audit stands; the others stand for themselves.
standing as (
    select
        numbered.*,
        coalesce(before.seen, numbered.seen) as stands_seen,
        coalesce(before.again, numbered.again) as stands_again,
        coalesce(before.p_abnormal, numbered.p_abnormal) as stands_at

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
            standing.stands_seen,
            standing.stands_again,
            standing.stands_at desc,
            standing.audit,
            standing.crop_id
    ) as rank,
    standing.batch,
    standing.crop_id,
    standing.scan_id,
    standing.patient_key,
    places.* exclude (crop_id),
    standing.predicted,
    standing.p_abnormal,
    standing.flagged,
    standing.seen,
    standing.again,
    standing.audit,
    standing.label

from standing
left join places on standing.crop_id = places.crop_id
