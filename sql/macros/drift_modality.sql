-- What drift compares scans within: only DICOM names a modality, a panoramic is one whoever sent it.
create or replace macro drift_modality(panoramic, modality) as
    case when panoramic then 'PX' else coalesce(modality, 'other') end
