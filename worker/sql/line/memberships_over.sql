-- returns command (its number) and memberships, as many as it would leave its user with, where that is more than $5;
-- a command that does not make them more is let through
with item as materialized (
    select * from unnest($1::text[], $2::text[], $3::integer[], $4::boolean[]) as x (user_id, segment, command, included)
), crowded as materialized (
    select a.user_id, u.user_key, h.memberships
    from (select user_id, count(*) filter (where included) as added from item group by user_id) a
    left join users u on u.user_id = a.user_id
    cross join lateral memberships_held(u.user_key) as h (memberships)
    where h.memberships + a.added > $5::integer
), changed as (
    select i.command, c.memberships, sum(i.included::integer - coalesce(m.included, false)::integer) as more
    from item i
    join crowded c on c.user_id = i.user_id
    join segments s on s.segment = i.segment and s.deleted_at is null
    left join memberships m on m.user_key = c.user_key and m.segment_key = s.segment_key
    group by i.command, c.memberships
)
select command, memberships + more as memberships
from changed
where more > 0 and memberships + more > $5
order by command
