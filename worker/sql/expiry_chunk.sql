-- returns due (memberships looked at) and changed, of the at most $2 that have been due longest and are not held back;
-- those that go on as rollout memberships are renewed, without an expiry
with due as materialized (
    select m.user_key, m.segment_key, m.expires_at, s.deleted_at,
        s.deleted_at is null and in_rollout(m.segment_key, m.user_key) as goes_on
    from memberships m
    join segments s using (segment_key)
    where m.expires_at <= $1
        and not exists (
            select from expiry_held h
            where h.user_key = m.user_key and h.segment_key = m.segment_key and h.retry_at > $1
        )
    order by m.expires_at, m.user_key, m.segment_key
    limit $2
    for update of m skip locked
), gone_on as (
    update memberships m set origin = 'rollout', expires_at = null
    from due d
    where d.goes_on and m.user_key = d.user_key and m.segment_key = d.segment_key
    returning m.user_key, m.segment_key, d.expires_at
), ended as (
    delete from memberships m
    using due d
    where not d.goes_on and m.user_key = d.user_key and m.segment_key = d.segment_key
    returning m.user_key, m.segment_key, d.expires_at,
        case when d.expires_at <= d.deleted_at or d.deleted_at is null then 'expiry' else 'segment_deleted' end as reason
), touched as (
    select user_key, segment_key, expires_at, reason, true as is_over from ended
    union all
    select user_key, segment_key, expires_at, 'expiry', false from gone_on
), changed as (
    select u.user_id, t.reason,
        array_agg(t.segment_key order by t.expires_at, t.segment_key) filter (where t.is_over) as exited,
        array_agg(t.segment_key order by t.expires_at, t.segment_key) filter (where not t.is_over) as renewed,
        row_number() over (order by min(t.expires_at), u.user_id, t.reason) as n
    from touched t join users u using (user_key)
    group by u.user_id, t.reason
), head as (
    update journal_head
    set sequence = sequence + (select count(*) from changed), time = greatest(time, $1)
    where exists (select from changed)
    returning sequence, time
), appended as (
    insert into journal (sequence, time, type, reason, user_id, exited, renewed)
    select h.sequence - (select count(*) from changed) + c.n, h.time, 'membership.changed', c.reason::change_reason,
        c.user_id, c.exited, c.renewed
    from head h, changed c
), counted as (
    update deletions d
    set exited = exited + (select count(*) from ended e where e.segment_key = d.segment_key and e.reason = 'segment_deleted')
    where d.segment_key in (select segment_key from ended where reason = 'segment_deleted')
), freed as (
    delete from expiry_held h using due d where h.user_key = d.user_key and h.segment_key = d.segment_key
)
select (select count(*) from due) as due, (select count(*) from touched) as changed
