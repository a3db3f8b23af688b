-- returns due (memberships looked at) and the last one's expires_at, of the at most $2 that have been due longest since $3
-- and are not held back, or of the membership $4, $5 alone; changed (count): those that were really ended, or go on as
-- rollout memberships, which are renewed, without an expiry. Where it is less than due, nothing of it may be kept
with due as materialized (
    select m.ctid as place, m.user_key, m.segment_key, m.expires_at
    from memberships m
    where m.expires_at <= $1 and m.expires_at >= $3
        and ($4::bigint is null or (m.user_key = $4 and m.segment_key = $5::integer))
        and (m.user_key, m.segment_key) not in (select h.user_key, h.segment_key from expiry_held h where h.retry_at > $1)
    order by m.expires_at, m.user_key, m.segment_key
    limit $2
    for update of m skip locked
), judged as materialized (
    -- users one by one, in a subquery: no estimate can make it a join with all of them
    select d.place, d.user_key, d.segment_key, d.expires_at,
        case when s.percent > 0 and s.deleted_at is null then bucket(
            s.salt, (select u.user_id from users u where u.user_key = d.user_key)
        ) < s.percent * 100 else false end as goes_on,
        not (s.deleted_at is null or d.expires_at <= s.deleted_at) as by_deletion
    from due d
    join segments s using (segment_key)
), gone_on as (
    update memberships set origin = 'rollout', expires_at = null
    where ctid = any (array(select place from judged where goes_on))
    returning 1
), ended as (
    delete from memberships
    where ctid = any (array(select place from judged where not goes_on))
    returning 1
), changed as materialized (
    select user_key, by_deletion,
        array_agg(segment_key order by expires_at, segment_key) filter (where not goes_on) as exited,
        array_agg(segment_key order by expires_at, segment_key) filter (where goes_on) as renewed
    from judged
    group by user_key, by_deletion
), events as materialized (
    select count(*) as n from changed
), head as (
    update journal_head set sequence = sequence + e.n, time = greatest(time, $1)
    from events e
    where e.n > 0
    returning sequence - e.n as before, time
), appended as (
    insert into journal (sequence, time, type, reason, user_id, exited, renewed)
    select h.before + row_number() over (), h.time, 'membership.changed',
        case when c.by_deletion then 'segment_deleted' else 'expiry' end::change_reason,
        (select u.user_id from users u where u.user_key = c.user_key), c.exited, c.renewed
    from head h, changed c
    returning user_id is null as is_nobodys
), counted as (
    update deletions d
    set exited = exited + (select count(*) from judged t where t.segment_key = d.segment_key and t.by_deletion)
    where d.segment_key in (select segment_key from judged where by_deletion)
), freed as (
    delete from expiry_held h using due d where h.user_key = d.user_key and h.segment_key = d.segment_key
)
select d.due, d.expires_at, case
        when exists (select from appended where is_nobodys) then 0
        else (select count(*) from ended) + (select count(*) from gone_on)
    end as changed
from (select count(*) as due, max(expires_at) as expires_at from due) d
