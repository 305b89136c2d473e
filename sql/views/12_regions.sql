-- Every box that a reviewer drew, moved or withdrew; rows are only appended, in the order of `part`.
create or replace view regions as

select
    * exclude (filename),
    regexp_extract(filename, 'part-(\d+)\.parquet$', 1)::integer as part

from regions_parts
