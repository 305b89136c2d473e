-- One embedding row per crop in force and trunk, with the number of the part it is in.
create or replace view features as

select
    * exclude (filename),
    regexp_extract(filename, 'part-(\d+)\.parquet$', 1)::integer as part

from features_parts
anti join withdrawn_crops on features_parts.crop_id = withdrawn_crops.crop_id
