-- returns day (UTC), entered and exited of segment key $1 for each of the last $2 days, oldest first, also those without a change
with days as (
    select generate_series(today - ($2::integer - 1), today, interval '1 day')::date as day
    from (select (now() at time zone 'UTC')::date as today) t
)
select days.day, coalesce(d.entered, 0) as entered, coalesce(d.exited, 0) as exited
from days
left join segment_days d on d.segment_key = $1 and d.day = days.day
order by days.day
