-- returns user_id and entered (segment keys) of those among the next $2 users of import $1 that were not known, are now, and fall
-- into rollouts
with i as materialized (
    select * from imports where import_key = $1 and state = 'applying' for update
), fresh as (
    insert into users (user_id, registered_at)
    select x.user_id, $3
    from i cross join lateral (
        select user_id from import_users
        where import_key = i.import_key and user_id > i.next_user_id
        order by user_id limit $2
    ) x
    where not exists (select from users u where u.user_id = x.user_id)
    order by x.user_id
    on conflict (user_id) do nothing
    returning user_key, user_id
), entered as (
    insert into memberships (user_key, segment_key, included, origin, since)
    select f.user_key, s.segment_key, true, 'rollout', $3
    from fresh f, segments s
    where s.percent > 0 and s.deleted_at is null and is_inside(s.salt, s.percent, f.user_id)
    returning user_key, segment_key
), counted as (
    update imports set registered = registered + (select count(*) from fresh) where import_key = $1
)
select f.user_id, array_agg(e.segment_key order by e.segment_key) as entered
from entered e join fresh f using (user_key)
group by f.user_id
order by f.user_id
