-- The label in force of every crop that has one.
--
-- A reviewer's label beats a delivered one, and a newer one beats it when it is the same reviewer's.
-- Where the labels of two reviewers differ, none is in force until a consensus or until they agree.
-- `withdraw` leaves the crop without a label, `unsure` changes nothing.
create or replace view labels_now as

select
    crop_id,
    scan_id,
    batch,
    label,
    source,
    labelled_at

from labels_until('infinity'::timestamptz)
where label is not null
