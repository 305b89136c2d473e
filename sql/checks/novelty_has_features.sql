-- Every novelty score was made from a stored embedding of its trunk.
select
    novelty.novelty,
    novelty.batch,
    novelty.crop_id

from novelty
anti join features
    on
        novelty.trunk = features.trunk
        and novelty.crop_id = features.crop_id
