-- returns users, inside, enter and leave (counts) for a percent $2 of the living segment $1 (null: of a new one)
with segment as (
    select segment_key, salt from segments where segment = $1 and deleted_at is null
), decided as (
    select bucket(coalesce(s.salt, $3), u.user_id) < $2 * 100 as inside, m.included, m.origin, m.user_key is not null as known
    from users u
    left join segment s on true
    left join memberships m on m.user_key = u.user_key and m.segment_key = s.segment_key
)
select count(*) as users, count(*) filter (where inside) as inside,
    count(*) filter (where inside and not known) as enter,
    count(*) filter (where not inside and included and origin = 'rollout') as leave
from decided
