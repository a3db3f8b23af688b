-- returns the time after which the server ends this session when it is idle in a transaction
select set_config('idle_in_transaction_session_timeout', $1, false)
