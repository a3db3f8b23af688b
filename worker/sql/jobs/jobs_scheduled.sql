-- returns nothing; another leader has these jobs now, all due: what its predecessor had in hand is interrupted
insert into job_runs (job, next_at)
select x, $2 from unnest($1::text[]) x
on conflict (job) do update
set next_at = excluded.next_at,
    finished_at = case when job_runs.started_at is null then null else coalesce(job_runs.finished_at, excluded.next_at) end,
    outcome = case when job_runs.started_at is null then null else coalesce(job_runs.outcome, 'interrupted') end
