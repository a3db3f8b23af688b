-- returns nothing; known users stay as they are
insert into users (user_id, registered_at)
select x, $2 from unnest($1::text[]) as x order by x
on conflict (user_id) do nothing
