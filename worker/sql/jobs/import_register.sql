-- returns user_id and entered (segment keys) of those among the next $2 users of import $1 that were not known, are now, and fall
-- into rollouts
with i as materialized (
    select * from imports where import_key = $1 and state = 'applying' for update
), unknown as materialized (
    select x.user_id
    from i
    join lateral (
        select import_key, user_id from import_users
        where (import_key, user_id) > (i.import_key, i.next_user_id)
        order by import_key, user_id
        limit $2
    ) x on x.import_key = i.import_key
    where not exists (select from users u where u.user_id = x.user_id)
), fresh as materialized (
    select r.user_id, r.entered from register_users(array(select user_id from unknown), $3) r
), counted as (
    update imports set registered = registered + (select count(*) from fresh) where import_key = $1
)
select user_id, entered from fresh where entered is not null order by user_id
