-- What each reviewer has decided, and when last.
select
    source as reviewer,
    count(*) as decisions,
    count(distinct crop_id) as crops,
    strftime(max(labelled_at), '%Y-%m-%d') as last_day

from readings
where source <> 'delivered' and decision <> 'consensus'
group by source
order by decisions desc, source
