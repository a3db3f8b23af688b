-- returns newest: the last snapshot that was asked for, null for none; notes that $1 has written the states of $2 users, and
-- whether that is all ($3)
with marked as (
    update state_snapshots
    set users = $2, began_at = coalesce(began_at, now()), finished_at = case when $3 then now() end
    where snapshot = $1 and finished_at is null
)
select max(snapshot) as newest from state_snapshots
