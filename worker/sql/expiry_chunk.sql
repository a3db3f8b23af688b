-- returns due (memberships looked at), changed, and the last one's expires_at, of the at most $2 that have been due
-- longest since $3 and are not held back, or of the membership $4, $5 alone; those that go on as rollout memberships are
-- renewed, without an expiry
with due as materialized (
    select m.ctid as place, m.user_key, m.segment_key, m.expires_at
    from memberships m
    where m.expires_at <= $1 and m.expires_at >= $3
        and ($4::bigint is null or (m.user_key = $4 and m.segment_key = $5::integer))
        and not exists (
            select from expiry_held h
            where h.user_key = m.user_key and h.segment_key = m.segment_key and h.retry_at > $1
        )
    order by m.expires_at, m.user_key, m.segment_key
    limit $2
    for update of m skip locked
), judged as materialized (
    select d.*, u.user_id, s.deleted_at,
        s.deleted_at is null and coalesce(s.percent, 0) > 0 and bucket(s.salt, u.user_id) < s.percent * 100 as goes_on
    from due d
    join segments s using (segment_key)
    cross join lateral (select user_id from users u where u.user_key = d.user_key limit 1) u
), gone_on as (
    update memberships set origin = 'rollout', expires_at = null
    where ctid = any (array(select place from judged where goes_on))
    returning user_key, segment_key
), ended as (
    delete from memberships
    where ctid = any (array(select place from judged where not goes_on))
    returning user_key, segment_key
), touched as (
    select j.user_id, j.segment_key, j.expires_at, e.user_key is not null as is_over,
        case when g.user_key is not null or j.deleted_at is null or j.expires_at <= j.deleted_at then 'expiry'
            else 'segment_deleted' end as reason
    from judged j
    left join ended e using (user_key, segment_key)
    left join gone_on g using (user_key, segment_key)
    where e.user_key is not null or g.user_key is not null
), changed as (
    select user_id, reason,
        array_agg(segment_key order by expires_at, segment_key) filter (where is_over) as exited,
        array_agg(segment_key order by expires_at, segment_key) filter (where not is_over) as renewed,
        row_number() over (order by min(expires_at), user_id, reason) as n
    from touched
    group by user_id, reason
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
    set exited = exited + (select count(*) from touched t where t.segment_key = d.segment_key and t.reason = 'segment_deleted')
    where d.segment_key in (select segment_key from touched where reason = 'segment_deleted')
), freed as (
    delete from expiry_held h using due d where h.user_key = d.user_key and h.segment_key = d.segment_key
)
select (select count(*) from due) as due, (select count(*) from touched) as changed,
    (select max(expires_at) from due) as expires_at
