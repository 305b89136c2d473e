-- Files of a batch with what drift compares of them, without repeated, forgotten ones and masks.
-- $batch
select
    part,
    scan_id,
    -- A transfer that broke leaves many equal files, such as empty ones: not one patient's.
    case
        when status = 'rejected' and patient_from = 'scan' then file_key
        else patient_key
    end as patient_key,
    brightness::double as brightness,
    contrast::double as contrast,
    sharpness::double as sharpness,
    dark_share::double as dark_share,
    bright_share::double as bright_share,
    width::double as width,
    height::double as height,
    pixel_spacing_x::double as pixel_spacing_x,
    coalesce(format, 'none') as format,
    coalesce(bits::varchar, 'unknown') as bits,
    case when colour then 'yes' else 'no' end as colour,
    coalesce(transfer_syntax, 'none') as transfer_syntax,
    status,
    case when width is null then 'none' else drift_modality(panoramic, modality) end as modality

from scans_now
where
    batch = $batch
    and status <> 'duplicate'
    and coalesce(reason, '') not in ('forgotten', 'mask', 'taken_back')
order by part, "row"
