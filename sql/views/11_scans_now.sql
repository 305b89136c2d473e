-- One row per delivered file: its last attempt.
--
-- A file that is delivered again unchanged is a duplicate of itself. That must not hide that it was
-- accepted, so the accepted row replaces the later one.
create or replace view scans_now as

with ranked as (
    select
        *,
        greatest(
            attempt,
            case
                when status = 'accepted' then
                    max(attempt) filter (where status = 'duplicate')
                    over (partition by batch, file_key, scan_id)
            end
        ) as effective_attempt

    from scans
)

select * exclude (effective_attempt)
from ranked
qualify
    row_number() over (
        partition by batch, file_key
        order by effective_attempt desc, (status = 'accepted') desc, part desc, "row" desc
    ) = 1
