-- returns entered and exited (counts) and is_done of the next $2 users of the oldest unfinished rollout; no row: none
with rollout as materialized (
    select r.*, s.salt, s.segment, s.segment_id
    from rollouts r join segments s using (segment_key)
    where r.segment_key = $1 and r.finished_at is null
    for update of r
), decided as materialized (
    select u.user_key, u.user_id, is_inside(r.salt, r.percent, u.user_id) as inside
    from rollout r
    cross join lateral (
        select user_key, user_id from users
        where user_key > r.next_user_key and user_key <= r.last_user_key
        order by user_key
        limit $2
    ) u
), written as (
    insert into memberships (user_key, segment_key, included, origin, since)
    select user_key, $1, true, 'rollout', $3 from decided where inside order by user_key
    on conflict (user_key, segment_key) do nothing
    returning user_key
), released as (
    -- by the keys' range and the formula itself, so that no estimate can make the plan worse than linear
    delete from memberships m
    using users u, rollout r
    where m.user_key > (select next_user_key from rollout) and m.user_key <= (select max(user_key) from decided)
        and m.segment_key = $1 and m.included and m.origin = 'rollout' and r.on_decrease = 'release'
        and u.user_key = m.user_key and not is_inside(r.salt, r.percent, u.user_id)
    returning m.user_key
), changed as materialized (
    select d.user_key, d.user_id, w.user_key is not null as is_in
    from decided d
    left join written w on w.user_key = d.user_key
    left join released x on x.user_key = d.user_key
    where w.user_key is not null or x.user_key is not null
), appended as (
    insert into journal (sequence, time, type, reason, user_id, entered, exited)
    select h.taken_after + row_number() over (order by c.user_key), h.time, 'membership.changed', 'rollout', c.user_id,
        case when c.is_in then array[$1] end, case when not c.is_in then array[$1] end
    from journal_numbers((select count(*) from changed), $3) h, changed c
), progress as (
    update rollouts r
    set next_user_key = coalesce((select max(user_key) from decided), r.last_user_key),
        entered = r.entered + (select count(*) from changed where is_in),
        exited = r.exited + (select count(*) from changed where not is_in)
    where r.segment_key = $1 and exists (select from rollout)
)
select
    (select count(*) from changed where is_in) as entered,
    (select count(*) from changed where not is_in) as exited,
    (select count(*) from decided) < $2 as is_done
from rollout
