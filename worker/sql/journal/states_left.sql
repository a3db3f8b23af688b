-- returns user_id of those of the users $1 who are in no segment, forgotten ones included, where the topic has them in one ($2);
-- of the others those who were forgotten
select x.user_id
from unnest($1::text[], $2::boolean[]) x (user_id, had_some)
-- a count, as an anti-join could read whole tables
cross join lateral (
    select count(*) as here
    from (
        select 1
        from users u
        left join lateral (
            select true as some
            from memberships m
            join segments s using (segment_key)
            where m.user_key = u.user_key and m.included and s.deleted_at is null
            limit 1
        ) has on true
        where u.user_id = x.user_id and (has.some or not x.had_some)
        limit 1
    ) one
) held
where held.here = 0
