-- returns leads: whether this session now holds the lock of the role $1
select pg_try_advisory_lock(role_space(), $1) as leads
