-- One embedding row per crop and trunk, with the number of the part it is in.
create or replace view features as

select
    * exclude (filename),
    regexp_extract(filename, 'part-(\d+)\.parquet$', 1)::integer as part

from features_parts
