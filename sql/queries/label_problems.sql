-- Scans with annotations that could not be used, those with the most first.
-- topic: Crops and labels
-- $batch = null
--
-- What is wrong, with file and line, is in the private messages.log: `dental why FILE` prints it.
select
    batch,
    scan_id,
    status,
    label_problems

from scans_now
where
    label_problems > 0
    and ($batch::varchar is null or batch = $batch)
order by label_problems desc, batch, part, "row"
