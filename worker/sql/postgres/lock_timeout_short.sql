-- returns the time; for this transaction: who waits for a lock makes others wait behind, so not for long
select set_config('lock_timeout', '200ms', true)
