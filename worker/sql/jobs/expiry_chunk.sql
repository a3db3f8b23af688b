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
    select d.place, d.user_key, d.segment_key, d.expires_at, u.user_id, s.deleted_at is not null as is_deleted,
        is_lapsed(d.expires_at, s.deleted_at, $1, is_inside(s.salt, s.percent, u.user_id)) as lapsed
    from due d
    join segments s using (segment_key)
    -- by key for each, so that no estimate makes a chunk read all users
    left join lateral (select user_id from users u where u.user_key = d.user_key limit 1) u on true
), gone_on as (
    update memberships set origin = 'rollout', expires_at = null
    where ctid = any (array(select place from judged where not lapsed and not is_deleted))
    returning 1
), ended as (
    delete from memberships
    where ctid = any (array(select place from judged where lapsed or is_deleted))
    returning 1
), changed as materialized (
    select user_id, not lapsed and is_deleted as by_deletion,
        array_agg(segment_key order by expires_at, segment_key) filter (where lapsed or is_deleted) as exited,
        array_agg(segment_key order by expires_at, segment_key) filter (where not lapsed and not is_deleted) as renewed
    from judged
    group by user_key, user_id, not lapsed and is_deleted
), appended as (
    insert into journal (sequence, time, type, reason, user_id, exited, renewed)
    select h.taken_after + row_number() over (), h.time, 'membership.changed',
        case when c.by_deletion then 'segment_deleted' else 'expiry' end::change_reason, c.user_id, c.exited, c.renewed
    from journal_numbers((select count(*) from changed), $1) h, changed c
    returning user_id is null as is_nobodys
), counted as (
    update deletions d
    set exited = exited + (select count(*) from judged t where t.segment_key = d.segment_key and not t.lapsed)
    where d.segment_key in (select segment_key from judged where is_deleted and not lapsed)
), freed as (
    delete from expiry_held h using due d where h.user_key = d.user_key and h.segment_key = d.segment_key
)
select d.due, d.expires_at, case
        when exists (select from appended where is_nobodys) then 0
        else (select count(*) from ended) + (select count(*) from gone_on)
    end as changed
from (select count(*) as due, max(expires_at) as expires_at from due) d
