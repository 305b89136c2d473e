-- Every file of a part's delivery list has its row: 0, 1, 2 … without gap or repetition.
select
    batch,
    part,
    count(*) as row_count,
    count(distinct "row") as distinct_rows,
    min("row") as first_row,
    max("row") as last_row

from scans
group by batch, part
having
    count(distinct "row") <> count(*)
    or min("row") <> 0
    or max("row") <> count(*) - 1
