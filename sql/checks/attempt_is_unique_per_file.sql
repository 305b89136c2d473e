-- A delivered file has one row per attempt.
select
    batch,
    file_key,
    attempt,
    count(*) as copies

from scans
group by batch, file_key, attempt
having count(*) > 1
