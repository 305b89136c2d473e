-- Every prediction was made from a stored embedding of its trunk.
select
    predictions.head,
    predictions.batch,
    predictions.crop_id

from predictions
anti join features
    on
        predictions.trunk = features.trunk
        and predictions.crop_id = features.crop_id
