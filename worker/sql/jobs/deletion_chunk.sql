-- returns how many memberships in the blocks from $2 to before $3 were ended, each with its journal row
with ended as (
    delete from memberships m
    where m.ctid >= format('(%s,0)', $2::bigint)::tid and m.ctid < format('(%s,0)', $3::bigint)::tid
        and m.segment_key = any($1::integer[])
    returning m.user_key, m.segment_key, m.included, m.expires_at
), announced as materialized (
    select u.user_id, e.segment_key,
        case
            when is_lapsed(e.expires_at, s.deleted_at, $4, is_inside(s.salt, s.percent, u.user_id)) then 'expiry'
            else 'segment_deleted'
        end::change_reason as reason
    from ended e
    join segments s using (segment_key)
    -- by key for each, so that no estimate makes a chunk read all users
    cross join lateral (select user_id from users u where u.user_key = e.user_key limit 1) u
    where e.included
), appended as (
    insert into journal (sequence, time, type, reason, user_id, exited)
    select h.taken_after + row_number() over (), h.time, 'membership.changed', a.reason, a.user_id, array[a.segment_key]
    from journal_numbers((select count(*) from announced), $4) h, announced a
), progress as (
    update deletions d
    set next_block = $3,
        exited = exited + (
            select count(*) from announced a where a.segment_key = d.segment_key and a.reason = 'segment_deleted'
        )
    where d.segment_key = any($1::integer[])
)
select count(*) as ended from ended
