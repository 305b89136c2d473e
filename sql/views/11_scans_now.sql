-- One row per delivered file: its last attempt.
--
-- A file that comes again unchanged is a duplicate of itself. That must not hide that it was
-- accepted, so its accepted row takes the place of the later one.
create or replace view scans_now as

with standing as (
    select
        *,
        greatest(
            attempt,
            case
                when status = 'accepted' then
                    max(attempt) filter (where status = 'duplicate')
                    over (partition by batch, file_key, scan_id)
            end
        ) as stands_at

    from scans
)

select * exclude (stands_at)
from standing
qualify
    row_number() over (
        partition by batch, file_key
        order by stands_at desc, (status = 'accepted') desc, part desc, "row" desc
    ) = 1
