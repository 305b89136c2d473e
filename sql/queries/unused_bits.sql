-- Scans of 16 bits whose values need fewer: state the depth of their sensor, or they are too dark.
-- topic: Deliveries
-- $batch = null
--
-- Give `bits` in the batch's table, for example 14. A file that records its depth (`sBIT` of PNG,
-- `MaxSampleValue` of TIFF) is scaled by that.
select
    batch,
    scan_id,
    format,
    bits,
    bits_used,
    brightness

from scans_now
where
    status <> 'rejected'
    and bits_from = 'guessed'
    and bits_used < bits
    and bits > 12
    and ($batch::varchar is null or batch = $batch)
order by batch, bits_used, scan_id
