-- returns snapshot, the one that was asked for by this (no row: another session is asking this very moment)
insert into state_snapshots (snapshot)
select coalesce(max(snapshot), 0) + 1 from state_snapshots
on conflict do nothing
returning snapshot
