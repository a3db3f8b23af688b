-- returns command_type and overdue_seconds of the first commands that are due at $1, or where that is null now; at most $2
with moment as materialized (
    select coalesce($1::timestamptz, clock_timestamp()) as now
)
select s.command_type, extract(epoch from m.now - s.effective_at)::float8 as overdue_seconds
from moment m
cross join lateral (
    select * from schedule where effective_at <= m.now order by effective_at, rank, schedule_key limit $2
) s
