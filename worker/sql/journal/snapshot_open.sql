-- returns snapshot, the one that is to be written: the newest, unless it has ended, else a new one (no row: another session is
-- making one this very moment)
with newest as (
    select snapshot, finished_at from state_snapshots order by snapshot desc limit 1
), made as (
    insert into state_snapshots (snapshot)
    select coalesce((select snapshot from newest), 0) + 1
    where not exists (select from newest where finished_at is null)
    on conflict do nothing
    returning snapshot
)
select snapshot from made
union all
select snapshot from newest where finished_at is null
