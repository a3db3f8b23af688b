-- returns user_key and user_id of the next at most $2 users after the key $1 who are in a segment, in the order of their keys;
-- user_id is null where there is no such user any more. From key to key by the index: asked for all at once, the planner may
-- read the whole table for each page
with recursive page as (
    (select user_key, 1 as n from memberships where user_key > $1 and included order by user_key limit 1)
    union all
    select m.user_key, p.n + 1
    from page p
    cross join lateral (
        select user_key from memberships where user_key > p.user_key and included order by user_key limit 1
    ) m
    where p.n < $2
)
select p.user_key, u.user_id
from page p
-- for each user, so that no estimate makes it read a whole table
left join lateral (select user_id from users u where u.user_key = p.user_key limit 1) u on true
order by p.user_key
