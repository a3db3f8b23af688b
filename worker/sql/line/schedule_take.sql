-- returns the first commands that are due at $1, in their order and locked: at most $2, and no more than have $3 bytes of data,
-- the first one in any case
with due as materialized (
    select schedule_key, bytes,
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
from schedule s
join due d using (schedule_key)
where d.total <= $3::bigint or d.total = d.bytes
order by s.effective_at, s.rank, s.schedule_key
for update of s
