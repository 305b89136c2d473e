-- Every promotion of a head, with the recipe and trunk it works on.
create or replace view promotions as

select
    number,
    recipe,
    trunk,
    head

from promotion_files
