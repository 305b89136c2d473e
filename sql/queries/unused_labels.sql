-- Labels of whole panoramics that no crop has: their teeth do not inherit them; deliver boxes.
-- topic: Crops and labels
-- $batch = null
--
-- A panoramic with a labelled box is left out, since its findings have a place.
with panoramics as (
    select
        scan_id,
        min(batch) as batch

    from scans_now
    where
        status = 'accepted'
        and panoramic
    group by scan_id
),

placed as (
    select distinct scan_id
    from labels_now
    where not ends_with(crop_id, ':whole')
)

select
    panoramics.batch,
    labels_now.scan_id,
    labels_now.label,
    labels_now.source

from labels_now
inner join panoramics on labels_now.scan_id = panoramics.scan_id
anti join placed on labels_now.scan_id = placed.scan_id
anti join features on labels_now.crop_id = features.crop_id
where
    ends_with(labels_now.crop_id, ':whole')
    and ($batch::varchar is null or panoramics.batch = $batch)
order by panoramics.batch, labels_now.scan_id
