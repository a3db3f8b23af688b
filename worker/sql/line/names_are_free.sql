-- returns are_free: whether there is neither a user $1 nor a segment $2
select
    not exists (select from users where user_id = $1)
    and not exists (select from segments where segment = $2 and deleted_at is null) as are_free
