-- Probabilities are between 0 and 1 and sum to 1, within what float32 allows.
select
    head,
    batch,
    crop_id,
    probabilities,
    p_abnormal

from predictions
where
    probabilities is null
    or p_abnormal is null
    or not abs(list_sum(probabilities) - 1) <= 1e-4
    or not list_min(probabilities) >= 0
    or not p_abnormal between 0 and 1.0001
