-- The 95 % interval of a share of `hits` in `total`. Source: Wilson, "Probable inference, the law of
-- succession, and statistical inference", JASA 22 (1927). Null without any.
create or replace macro wilson_low(hits, total) as
    (hits + 1.920729 - 1.959964 * sqrt(hits * (total - hits) / nullif(total, 0) + 0.960365))
    / (total + 3.841459);

create or replace macro wilson_high(hits, total) as
    (hits + 1.920729 + 1.959964 * sqrt(hits * (total - hits) / nullif(total, 0) + 0.960365))
    / (total + 3.841459)
