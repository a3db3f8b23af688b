-- returns nothing; so much of the job's run is done
update job_runs set done = $2 where job = $1
