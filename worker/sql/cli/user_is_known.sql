-- returns is_known: whether the user with this id is registered
select exists(select from users where user_id = $1) as is_known
