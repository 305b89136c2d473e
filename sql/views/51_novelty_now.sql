-- The novelty scores of the newest model of every trunk for every crop.
create or replace view novelty_now as

with newest as (
    select
        novelty,
        trunk,
        number

    from novelty_files
    qualify row_number() over (partition by trunk order by number desc, novelty desc) = 1
)

select
    novelty.*,
    newest.number

from novelty
inner join newest on novelty.novelty = newest.novelty
