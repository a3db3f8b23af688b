-- returns nothing; the job's next run is due at $2
update job_runs set next_at = $2 where job = $1
