-- What kinds of files were delivered, by format, bits, colour and modality, the commonest first.
-- topic: Deliveries
-- $batch = null
select
    batch,
    format,
    bits,
    bits_from,
    colour,
    modality,
    panoramic,
    min(width) as least_width,
    max(width) as most_width,
    min(height) as least_height,
    max(height) as most_height,
    count(*) as scans,
    count(*) filter (where status = 'rejected') as rejected,
    coalesce(sum(label_problems), 0)::bigint as label_problems

from scans_now
where $batch::varchar is null or batch = $batch
group by batch, format, bits, bits_from, colour, modality, panoramic
order by batch, scans desc, format, bits, bits_from, colour, modality, panoramic
