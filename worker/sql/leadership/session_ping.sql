-- returns one row, so that the session is not idle
select true as alive
