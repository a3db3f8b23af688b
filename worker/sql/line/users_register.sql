-- returns user_id and entered (segment keys) of the users that were not known and fall into rollouts
with fresh as (
    insert into users (user_id, registered_at)
    select x, $2 from unnest($1::text[]) as x order by x
    on conflict (user_id) do nothing
    returning user_key, user_id
), entered as (
    insert into memberships (user_key, segment_key, included, origin, since)
    select f.user_key, s.segment_key, true, 'rollout', $2
    from fresh f, segments s
    where s.percent > 0 and s.deleted_at is null and is_inside(s.salt, s.percent, f.user_id)
    returning user_key, segment_key
)
select f.user_id, array_agg(e.segment_key order by e.segment_key) as entered
from entered e join fresh f using (user_key)
group by f.user_id
