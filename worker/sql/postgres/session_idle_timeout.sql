-- returns the time after which the server ends this session when it is idle
select set_config('idle_session_timeout', $1, false)
