-- returns gone: how many users, at most $1, were taken off lists that have ended; 0: all such lists are cleared
with ended as materialized (
    select import_key from imports
    where not is_cleared and state in ('completed', 'failed') order by import_key limit 1 for update
), gone as (
    delete from import_users u using ended e
    where u.import_key = e.import_key and u.user_id = any(array(
        select x.user_id
        from (
            select import_key, user_id from import_users
            where (import_key, user_id) > (e.import_key, '') order by import_key, user_id limit $1
        ) x
        where x.import_key = e.import_key
    ))
    returning 1
), cleared as (
    update imports i set is_cleared = true from ended e
    where i.import_key = e.import_key and (select count(*) from gone) < $1
)
select (select count(*) from gone) + (select count(*) from ended) as gone
