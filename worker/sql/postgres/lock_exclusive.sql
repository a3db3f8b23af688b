-- returns nothing; held until commit by what creates or ends segments, or forgets users
select pg_advisory_xact_lock($1)
