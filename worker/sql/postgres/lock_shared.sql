-- returns nothing; held until commit by what only joins users and segments
select pg_advisory_xact_lock_shared($1)
