-- Where each crop stands among the crops of its trunk by novelty: 0 is the least novel, 1 the most.
--
-- Crops that the model learned from look less novel than they are, so every crop is placed among
-- those of its own kind.
create or replace view novelty_places as

select
    *,
    percent_rank() over (partition by trunk, learned order by gaussian) as gaussian_place,
    percent_rank() over (partition by trunk, learned order by neighbour) as neighbour_place,
    (gaussian_place + neighbour_place) / 2 as novelty_place

from novelty_now
