-- returns one row: decided (how many of the next $2 users of import $1), and changed (journal rows); decided below $2: it was the
-- end. Whom it would make a member of more than $4 segments is left out
with i as materialized (
    select * from imports where import_key = $1 and state = 'applying' for update
), staged as materialized (
    select x.user_id, u.user_key
    from i
    -- a range of the index, of which no estimate makes the whole list be sorted for each chunk
    join lateral (
        select import_key, user_id from import_users
        where (import_key, user_id) > (i.import_key, i.next_user_id)
        order by import_key, user_id
        limit $2
    ) x on x.import_key = i.import_key
    left join users u on u.user_id = x.user_id
    order by u.user_key -- as memberships are locked and rows are numbered
), crowded as materialized (
    select s.user_key, s.user_id
    from i, staged s
    where i.mode <> 'remove'
        and (select max(segment_key) from segments) > $4::integer -- else there never were so many segments
        and not exists (
            select from memberships m where m.user_key = s.user_key and m.segment_key = i.segment_key and m.included
        )
        and memberships_held(s.user_key) >= $4
), written as (
    insert into memberships as m (user_key, segment_key, included, origin, since, expires_at)
    select s.user_key, i.segment_key, i.mode <> 'remove', 'command', $3, i.expires_at
    from i, staged s
    where s.user_key is not null and s.user_key not in (select user_key from crowded)
    order by s.user_key
    on conflict (user_key, segment_key) do update
    set included = excluded.included,
        origin = 'command',
        expires_at = excluded.expires_at,
        since = since_after(
            m.included, m.since, is_lapsed(m.expires_at, null, $3, in_rollout(m.segment_key, m.user_key)),
            excluded.included, $3
        )
    where is_changed_by(m.included, m.origin, m.expires_at, excluded.included, excluded.expires_at, $3)
    returning user_key,
        effect_on(
            old.included, old.expires_at, is_lapsed(old.expires_at, null, $3, in_rollout(segment_key, user_key)),
            new.included, new.expires_at
        ) as effect
), decided as materialized (
    select s.user_key, s.user_id, coalesce(w.effect, 'u') as effect
    from staged s left join written w using (user_key)
    where s.user_key is not null and s.user_key not in (select user_key from crowded)
), counted as materialized (
    select
        count(*) filter (where effect in ('e', 'E')) as entered,
        count(*) filter (where effect = 'x') as exited,
        count(*) filter (where effect = 'r') as renewed,
        count(*) filter (where effect in ('u', 'U')) as unchanged,
        count(*) filter (where effect <> 'u') + count(*) filter (where effect = 'E') as told
    from decided
), taken as materialized (
    select count(*) as users, count(*) - count(user_key) as unknown, max(user_id) as last_user_id from staged
), told as (
    select user_key, user_id, 0 as n, effect from decided where effect in ('E', 'U')
    union all
    select user_key, user_id, 1, effect from decided where effect not in ('u', 'U')
), appended as (
    insert into journal (
        sequence, time, type, reason, user_id, entered, exited, renewed, expires_at,
        command_id, command_source, correlation_id, traceparent
    )
    select h.taken_after + t.place, h.time, 'membership.changed',
        case when t.n = 0 then 'expiry' else 'import' end::change_reason, t.user_id,
        case when t.n = 1 and t.effect in ('e', 'E') then array[i.segment_key] end,
        case when t.n = 0 or t.effect = 'x' then array[i.segment_key] end,
        case when t.effect = 'r' then array[i.segment_key] end,
        case when t.n = 1 and t.effect in ('e', 'E', 'r') and i.expires_at is not null then array[i.expires_at] end,
        case when t.n = 1 then i.command_id end, case when t.n = 1 then i.command_source end,
        case when t.n = 1 then i.correlation_id end, case when t.n = 1 then i.traceparent end
    from i, journal_numbers((select told from counted), $3) h,
        (select *, row_number() over (order by user_key, n) as place from told) t
), progress as (
    update imports
    set next_user_id = coalesce(t.last_user_id, next_user_id),
        users = imports.users + t.users,
        entered = imports.entered + c.entered,
        exited = imports.exited + c.exited,
        renewed = imports.renewed + c.renewed,
        unchanged = imports.unchanged + c.unchanged,
        unknown = imports.unknown + t.unknown,
        unknown_sample = (unknown_sample || array(
            select user_id from staged where user_key is null order by user_id limit 50
        ))[:50],
        too_many_segments = too_many_segments + (select count(*) from crowded),
        too_many_segments_sample = (too_many_segments_sample || array(
            select user_id from crowded order by user_id limit 50
        ))[:50],
        state = case when t.users < $2 and mode = 'replace' then 'leaving' else state::text end::import_state
    from counted c, taken t
    where import_key = $1 and exists (select from i)
)
select t.users as decided, c.told as changed from taken t, counted c
