-- What Prefect is to run by itself; asked of Prefect's own database (SQLite).
select
    deployment.name,
    deployment_schedule.active,
    deployment_schedule.schedule

from deployment_schedule
inner join deployment on deployment_schedule.deployment_id = deployment.id
order by deployment.name
