-- returns the names that were decided before; all others are taken by this transaction, with a hash of what each command
-- says; $1 sorted
with fresh as (
    insert into inbox (name, content, seen_at)
    select x.name, x.content, $3 from unnest($1::uuid[], $2::bigint[]) as x (name, content)
    on conflict (name) do nothing
    returning name
)
select x as name from unnest($1::uuid[]) as x
where x not in (select name from fresh)
