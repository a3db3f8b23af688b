-- returns every job's last or current run, and every rollout and deletion with how far it is
select 'job' as kind, job as name, started_at, finished_at, outcome, error, failures, done, null::bigint as total, next_at
from job_runs
union all
select 'rollout', s.segment || ' ' || r.percent || ' %', r.requested_at, r.finished_at,
    case when r.finished_at is null then 'running' else 'done' end, null, 0,
    case when r.finished_at is null then (select count(*) from users u where u.user_key <= r.next_user_key)
        else (select count(*) from users u where u.user_key <= r.last_user_key) end,
    (select count(*) from users u where u.user_key <= r.last_user_key), null
from rollouts r join segments s using (segment_key)
union all
select 'deletion', s.segment, d.deleted_at, null, case when d.next_block is null then 'waiting' else 'running' end,
    null, 0, coalesce(d.next_block, 0), pg_relation_size('memberships') / current_setting('block_size')::bigint, null
from deletions d join segments s using (segment_key)
order by 1, 3, 2
