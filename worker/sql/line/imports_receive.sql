-- returns import, received, segment, segment_key, segment_id and mode of the open ones among the imports given, each of which gets
-- its users: those of import $1[n] are the elements of $3 whose element of $2 is n
with given as materialized (
    select x.import, x.n, i.import_key
    from unnest($1::text[]) with ordinality as x (import, n)
    join imports i using (import)
    where i.state = 'open'
    order by i.import_key
    for update of i
), staged as (
    insert into import_users (import_key, user_id)
    select distinct g.import_key, u.user_id
    from unnest($2::integer[], $3::text[]) as u (n, user_id)
    join given g using (n)
    order by 1, 2
    on conflict do nothing
), counted as (
    update imports i
    set received = i.received + c.users
    from (select n, count(*) as users from unnest($2::integer[]) as u (n) group by n) c
    join given g using (n)
    where i.import_key = g.import_key
    returning i.import, i.received, i.segment_key, i.mode
)
select c.import, c.received, s.segment, s.segment_key, s.segment_id, c.mode::text
from counted c join segments s using (segment_key)
