-- returns the names that were decided before; all others are taken by this transaction; $1 sorted
with fresh as (
    insert into inbox (name, seen_at)
    select x, $2 from unnest($1::uuid[]) as x
    on conflict (name) do nothing
    returning name
)
select x as name from unnest($1::uuid[]) as x
where x not in (select name from fresh)
