-- Crops in force without their pixels, with the number of the part they are in.
create or replace view crops as

select
    * exclude (pixels, filename),
    regexp_extract(filename, 'part-(\d+)\.parquet$', 1)::integer as part

from crops_parts
anti join withdrawn_crops on crops_parts.crop_id = withdrawn_crops.crop_id
