-- returns nothing; the segments' percents are on their way to all users known by now; what was under way begins again
insert into rollouts as r (segment_key, percent, on_decrease, last_user_key, requested_at)
select x.segment_key, x.percent, x.on_decrease::decrease_policy, (select coalesce(max(user_key), 0) from users), $4
from unnest($1::integer[], $2::numeric[], $3::text[]) as x (segment_key, percent, on_decrease)
on conflict (segment_key) do update
set percent = excluded.percent, on_decrease = excluded.on_decrease, next_user_key = 0,
    last_user_key = excluded.last_user_key, entered = 0, exited = 0,
    requested_at = excluded.requested_at, finished_at = null
