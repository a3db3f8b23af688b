-- returns is_found and users, inside, entering and leaving (counts) if the percent of segment $1 became $2; where $1 is
-- null, of a new segment with the salt $3
with segment as (
    select segment_key, salt from segments where segment = $1 and deleted_at is null
), decided as (
    select is_inside(coalesce(s.salt, $3), $2::numeric, u.user_id) as inside, m.user_key is not null as has_row,
        coalesce(m.included and m.origin = 'rollout', false) as rolled_out
    from users u
    left join segment s on true
    left join memberships m on m.user_key = u.user_key and m.segment_key = s.segment_key
)
select
    $1::text is null or exists (select from segment) as is_found,
    count(*) as users,
    count(*) filter (where inside) as inside,
    count(*) filter (where inside and not has_row) as entering,
    count(*) filter (where not inside and rolled_out) as leaving
from decided
