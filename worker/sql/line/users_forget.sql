-- returns user_id, segment_key (null: none), lapsed (it had expired before) and holds_until (when a membership ends that was
-- counted as active); the users and all they had are removed, they are on no list any more, and what is scheduled for them by
-- now is to be rejected, also where nobody knew them
with unlisted as (
    delete from import_users
    where import_key = any(array(select import_key from imports where not is_cleared)) and user_id = any($1::text[])
), unscheduled as (
    insert into schedule_forgotten (user_id, last_schedule_key, forgotten_at)
    select x, (select max(schedule_key) from schedule), $2
    from unnest($1::text[]) as x
    where (select schedule_key from schedule where user_id = x limit 1) is not null
    order by x
    on conflict (user_id) do update set last_schedule_key = excluded.last_schedule_key
), gone as (
    delete from users where user_id = any($1::text[]) returning user_key, user_id
), ended as (
    delete from memberships m using gone g
    where m.user_key = g.user_key
    returning g.user_key, m.segment_key, m.included, m.since, m.expires_at
)
select g.user_id, e.segment_key,
    coalesce(is_lapsed(e.expires_at, s.deleted_at, $2, is_inside(s.salt, s.percent, g.user_id)), false) as lapsed,
    case when e.expires_at > $2 then e.expires_at end as holds_until
from gone g
left join ended e on e.user_key = g.user_key and e.included
left join segments s on s.segment_key = e.segment_key
order by g.user_id, e.since, e.segment_key
