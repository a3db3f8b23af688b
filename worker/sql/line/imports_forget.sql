-- returns nothing; the users are on no list any more
delete from import_users
where user_id = any($1::text[]) and import_key in (select import_key from imports where not is_cleared)
