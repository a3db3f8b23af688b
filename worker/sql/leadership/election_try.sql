-- returns whether this session now leads
select pg_try_advisory_lock($1, $2) as leads
