-- returns snapshot, requested_at, began_at, finished_at, users (whose states are written) of the snapshot $1, or of the last one
-- where that is null; no row where there was none
select snapshot, requested_at, began_at, finished_at, users
from state_snapshots
where $1::integer is null or snapshot = $1
order by snapshot desc
limit 1
