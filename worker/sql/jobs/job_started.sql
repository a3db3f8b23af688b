-- returns nothing; a run of the job has begun
insert into job_runs (job, started_at) values ($1, $2)
on conflict (job) do update set started_at = excluded.started_at, finished_at = null, outcome = null, done = 0
