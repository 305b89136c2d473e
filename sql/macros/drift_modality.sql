-- The group in which drift compares a scan: only DICOM names a modality, panoramics are always PX.
create or replace macro drift_modality(panoramic, modality) as
    case when panoramic then 'PX' else coalesce(modality, 'other') end
