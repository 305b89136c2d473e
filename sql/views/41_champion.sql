-- The newest promotion: one row, or none before the first.
create or replace view champion as

select
    number,
    recipe,
    trunk,
    head

from promotions
order by number desc
limit 1
