-- returns every job's last or current run, and every rollout, deletion, snapshot and report in hand with how far it is, in the unit given
select 'job' as kind, r.job as name, r.started_at, r.finished_at, r.outcome, r.error, r.failures, r.done,
    case when r.job = 'expiry' and r.started_at is not null and r.finished_at is null
        then r.done + (select count(*) from memberships m where m.expires_at <= $1)
        when r.job = 'tally' and r.started_at is not null and r.finished_at is null
        then r.done + (select h.sequence - t.sequence from tally t, journal_head h)
        when r.job = 'schedule' and r.started_at is not null and r.finished_at is null
        then r.done + (select count(*) from schedule s where s.effective_at <= $1) end as total,
    case r.job
        when 'retention' then 'names' when 'reports' then 'reports' when 'tally' then 'rows' when 'schedule' then 'commands'
        else 'memberships'
    end as unit, r.next_at
from job_runs r
union all
select 'rollout', s.segment || ' ' || trim_scale(r.percent) || ' %', r.requested_at, r.finished_at,
    case when r.next_user_key = 0 then 'waiting' else 'running' end, null, 0,
    (select count(*) from users u where u.user_key <= r.next_user_key),
    (select count(*) from users u where u.user_key <= r.last_user_key), 'users', null
from rollouts r join segments s using (segment_key)
where r.finished_at is null
union all
select 'rollout', s.segment || ' ' || trim_scale(r.percent) || ' %', r.requested_at, r.finished_at, 'done', null, 0,
    r.entered + r.exited, null, 'memberships', null
from rollouts r join segments s using (segment_key)
where r.finished_at is not null
union all
select 'deletion', s.segment, d.deleted_at, null, case when d.next_block is null then 'waiting' else 'running' end,
    null, 0, coalesce(d.next_block, 0), pg_relation_size('memberships') / current_setting('block_size')::bigint,
    'blocks', null
from deletions d join segments s using (segment_key)
union all
select 'snapshot', 'states', coalesce(p.began_at, p.requested_at), p.finished_at,
    case when p.began_at is null then 'waiting' when p.finished_at is null then 'running' else 'done' end, null, 0,
    p.users, null, 'users', null
from state_snapshots p
where p.snapshot = (select max(snapshot) from state_snapshots)
union all
select 'report', to_char(r.month, 'YYYY-MM'), a.began_at, null, 'running', null, r.failures, coalesce(a.rows, 0),
    a.rows_total, 'rows', null
from reports r join report_attempts a on a.month = r.month and a.attempt = r.attempts
where a.ended_at is null
order by 1, 3, 2
