-- returns now ($2, or where that is null the server's time) and journaled_at (the time of the journal's last row), read under
-- the lock $1, which is held until commit, beside others, by what only joins users and segments
select coalesce($2::timestamptz, clock_timestamp()) as now, h.time as journaled_at
from (select pg_advisory_xact_lock_shared(lock_key($1))) held, journal_head h
