-- returns the first commands that are due at $1 and then those of users who were forgotten, in their order and locked, with
-- is_forgotten (their user was); at most $2, and no more than have $3 bytes of data, the first one in any case
with due as materialized (
    select schedule_key, effective_at, rank, bytes,
        sum(bytes) over (order by effective_at, rank, schedule_key rows unbounded preceding) as total
    from (
        (
            select schedule_key, effective_at, rank, octet_length(data::text) as bytes
            from schedule
            where effective_at <= $1
            order by effective_at, rank, schedule_key
            limit $2
        )
        union all
        (
            select s.schedule_key, s.effective_at, s.rank, octet_length(s.data::text)
            from schedule_forgotten f
            cross join lateral (
                select * from schedule
                where user_id = f.user_id and schedule_key <= f.last_schedule_key and effective_at > $1
                limit $2
            ) s
            limit $2
        )
        order by effective_at, rank, schedule_key
        limit $2
    ) x
)
select s.*, (
    select f.last_schedule_key >= s.schedule_key from schedule_forgotten f where f.user_id = s.user_id
) is true as is_forgotten
from (
    select schedule_key from due where total <= $3::bigint or total = bytes order by effective_at, rank, schedule_key
) d
cross join lateral (select * from schedule where schedule_key = d.schedule_key for update) s
order by s.effective_at, s.rank, s.schedule_key
