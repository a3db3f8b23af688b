-- returns month and is_requested of the report to make next: asked for longest ago, else the oldest of the months from
-- the journal's first one that ended so that the report is due at $1 ($2 after the end) and have none; what has failed
-- waits for its time; what has failed for good since the report is due waits until it is asked for again, or the storage
-- is another one than $3; no row: none
with journal_begins as (
    select date_trunc('month', j.time, 'UTC') as month from (select time from journal order by sequence limit 1) j
), wanted as (
    select q.month, min(q.requested_at) as requested_at from report_requests q group by q.month
    union all
    select m::date, null
    from journal_begins b, generate_series(
        b.month at time zone 'UTC', date_trunc('month', $1::timestamptz - $2::interval, 'UTC') at time zone 'UTC'
            - interval '1 month', interval '1 month'
    ) as x (m)
)
select w.month, w.requested_at is not null as is_requested
from wanted w
left join reports r using (month)
where case
    when w.requested_at is not null then r.retry_at is null or r.retry_at <= $1 or r.storage is distinct from $3
    else r.published_at is null and r.journal_dropped_at is null
        and (
            r.storage is distinct from $3
            or r.failed_at < (r.month + interval '1 month') at time zone 'UTC' + $2::interval
            or not r.is_permanent and (r.retry_at is null or r.retry_at <= $1)
        )
end
order by w.requested_at nulls last, w.month
limit 1
