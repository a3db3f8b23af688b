-- returns command_type and overdue_seconds of the first commands that are due at $1, or where that is null now, and rows without a
-- command_type for users who were forgotten, as long as not all that was scheduled for them is rejected; at most $2 of each
with moment as materialized (
    select coalesce($1::timestamptz, clock_timestamp()) as now
)
select s.command_type, extract(epoch from m.now - s.since)::float8 as overdue_seconds
from moment m
cross join lateral (
    (
        select command_type, effective_at as since from schedule
        where effective_at <= m.now order by effective_at, rank, schedule_key limit $2
    )
    union all
    (select null, forgotten_at from schedule_forgotten limit $2)
) s
