-- returns user_id of those of the users $1 who are in no segment, forgotten ones included
select x.user_id
from unnest($1::text[]) x (user_id)
-- a count, as an anti-join could read whole tables
cross join lateral (
    select count(*) as here
    from (
        select 1
        from users u
        join memberships m using (user_key)
        join segments s using (segment_key)
        where u.user_id = x.user_id and m.included and s.deleted_at is null
        limit 1
    ) one
) held
where held.here = 0
