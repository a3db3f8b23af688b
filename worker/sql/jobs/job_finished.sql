-- returns nothing; the job's run has come to its end: what it did, its error (null: none) and when it is due again
update job_runs
set finished_at = $2, done = $3, error = $4, next_at = $5,
    outcome = case when $4::text is null then 'done' else 'failed' end,
    failures = case when $4::text is null then 0 else failures + 1 end
where job = $1
