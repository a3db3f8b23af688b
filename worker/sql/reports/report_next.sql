-- returns month of the report to make next: the one that was asked for, or became due, longest ago. Due are, from the
-- journal's first one, the months that ended so that their report is due at $1 ($2 after the end) and have none; what has
-- failed waits for its time; what has failed for good since the report is due waits until it is asked for again, or the
-- storage is another one than $3; no row: none
with journal_begins as (
    select date_trunc('month', j.time, 'UTC') as month from (select time from journal order by sequence limit 1) j
), wanted as (
    select q.month, true as is_requested, min(q.requested_at) as since from report_requests q group by q.month
    union all
    select m::date, false, (m + interval '1 month') at time zone 'UTC' + $2::interval
    from journal_begins b, generate_series(
        b.month at time zone 'UTC', date_trunc('month', $1::timestamptz - $2::interval, 'UTC') at time zone 'UTC'
            - interval '1 month', interval '1 month'
    ) as x (m)
)
select w.month
from wanted w
left join reports r using (month)
where r.storage is distinct from $3 and (w.is_requested or r.published_at is null and r.journal_dropped_at is null)
    or w.is_requested and (r.retry_at is null or r.retry_at <= $1)
    or not w.is_requested and r.published_at is null and r.journal_dropped_at is null and (
        r.failed_at < w.since
        or not r.is_permanent and (r.retry_at is null or r.retry_at <= $1)
    )
order by w.since, w.month
limit 1
