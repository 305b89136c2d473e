-- Crops of one scan belong to one patient; otherwise the scan would be on two sides of the split.
select
    scan_id,
    count(distinct patient_key) as patients

from features
group by scan_id
having count(distinct patient_key) > 1
