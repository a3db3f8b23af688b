-- returns the first commands that are due at $1, in their order and locked: at most $2, and no more than have $3 bytes of data,
-- the first one in any case
with due as materialized (
    select schedule_key, effective_at, rank, bytes,
        sum(bytes) over (order by effective_at, rank, schedule_key rows unbounded preceding) as total
    from (
        select schedule_key, effective_at, rank, octet_length(data::text) as bytes
        from schedule
        where effective_at <= $1
        order by effective_at, rank, schedule_key
        limit $2
    ) x
)
select s.*
from (
    select schedule_key from due where total <= $3::bigint or total = bytes order by effective_at, rank, schedule_key
) d
cross join lateral (select * from schedule where schedule_key = d.schedule_key for update) s
order by s.effective_at, s.rank, s.schedule_key
