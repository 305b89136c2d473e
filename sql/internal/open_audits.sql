-- Crops of the audit that no reviewer has labelled yet.
select audits.crop_id

from audits
left join labels_now on audits.crop_id = labels_now.crop_id
where
    labels_now.source is null
    or labels_now.source = 'delivered'
