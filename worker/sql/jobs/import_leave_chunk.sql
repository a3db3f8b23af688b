-- returns one row: changed (journal rows) and is_done, of the next $2 user keys of import $1: members by command who are not on its list
-- leave, or go on by the percent; those who entered after the commit are left alone, and what is over is expiry's
with i as materialized (
    select i.*, s.salt, s.percent
    from imports i join segments s using (segment_key)
    where i.import_key = $1 and i.state = 'leaving'
    for update of i
), others as materialized (
    select m.user_key, m.segment_key, u.user_id, is_inside(i.salt, i.percent, u.user_id) as inside
    from i
    join memberships m on m.segment_key = i.segment_key
        and m.user_key > i.next_user_key and m.user_key <= i.next_user_key + $2
    cross join lateral (select user_id from users where user_key = m.user_key limit 1) u
    where m.included and m.origin = 'command' and m.since < i.committed_at
        and (m.expires_at is null or m.expires_at > $3)
        and not exists (
            select from import_users x where x.import_key = i.import_key and x.user_id = u.user_id
            offset 0 -- looked up user by user, as `users` are: a join might read all of it for each chunk
        )
    order by m.user_key
    for update of m
), kept as (
    update memberships m set origin = 'rollout', expires_at = null
    from others o
    where o.inside and m.user_key = o.user_key and m.segment_key = o.segment_key
    returning m.user_key, old.expires_at is not null as is_renewed
), gone as (
    delete from memberships m using others o
    where not o.inside and m.user_key = o.user_key and m.segment_key = o.segment_key
    returning m.user_key
), told as materialized (
    select o.user_key, o.user_id, o.inside
    from others o left join kept k using (user_key)
    where not o.inside or k.is_renewed
), appended as (
    insert into journal (
        sequence, time, type, reason, user_id, exited, renewed, command_id, command_source, correlation_id, traceparent
    )
    select h.taken_after + row_number() over (order by t.user_key), h.time, 'membership.changed', 'import', t.user_id,
        case when not t.inside then array[i.segment_key] end, case when t.inside then array[i.segment_key] end,
        i.command_id, i.command_source, i.correlation_id, i.traceparent
    from journal_numbers((select count(*) from told), $3) h, told t, i
), progress as (
    update imports
    set next_user_key = next_user_key + $2,
        exited = exited + (select count(*) from told where not inside),
        renewed = renewed + (select count(*) from told where inside)
    where import_key = $1 and exists (select from i)
)
select (select count(*) from told) as changed,
    coalesce((select next_user_key + $2 >= last_user_key from i), true) as is_done
