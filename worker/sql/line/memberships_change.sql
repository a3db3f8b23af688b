-- returns one row: effects, a letter an item, and segment_keys, both in the items' order; holds_until, when the first of
-- the memberships ends that were counted as active. e entered, r renewed,
-- u unchanged, x exited; E and U the same after an expiry that nobody had noted; ? user unknown, ! segment unknown
with item as materialized (
    select x.n, x.command, u.user_key, s.segment_key, x.included, x.expires_at
    from unnest($1::text[], $2::text[], $3::integer[], $4::boolean[], $5::timestamptz[]) with ordinality
        as x (user_id, segment, command, included, expires_at, n)
    left join users u on u.user_id = x.user_id
    left join segments s on s.segment = x.segment and s.deleted_at is null
), refused as materialized (
    select distinct command from item where user_key is null or segment_key is null
), written as (
    insert into memberships as m (user_key, segment_key, included, origin, since, expires_at)
    select user_key, segment_key, included, 'command', $6, expires_at
    from item
    where command not in (select command from refused)
    order by user_key, segment_key
    on conflict (user_key, segment_key) do update
    set included = excluded.included,
        origin = 'command',
        expires_at = excluded.expires_at,
        since = since_after(
            m.included, m.since, is_lapsed(m.expires_at, null, $6, in_rollout(m.segment_key, m.user_key)),
            excluded.included, $6
        )
    where is_changed_by(m.included, m.origin, m.expires_at, excluded.included, excluded.expires_at, $6)
    returning user_key, segment_key,
        effect_on(
            old.included, old.expires_at, is_lapsed(old.expires_at, null, $6, in_rollout(segment_key, user_key)),
            new.included, new.expires_at
        ) as effect,
        case when old.included and old.expires_at > $6 then old.expires_at end as holds_until
)
select
    coalesce(string_agg(
        case when i.user_key is null then '?' when i.segment_key is null then '!' else coalesce(w.effect, 'u') end,
        '' order by i.n
    ), '') as effects,
    array_agg(i.segment_key order by i.n) as segment_keys,
    min(w.holds_until) as holds_until
from item i
left join written w using (user_key, segment_key)
