-- returns user_id and each of the user's memberships that is active at $2, oldest first
select
    u.user_id, s.segment, s.segment_id,
    case when m.expires_at <= $2 then 'rollout' else m.origin end as origin,
    m.since,
    case when m.expires_at <= $2 then null else m.expires_at end as expires_at
from users u
join memberships m using (user_key)
join segments s using (segment_key)
where u.user_id = any($1::text[]) and m.included and s.deleted_at is null
    and case when m.expires_at <= $2 then in_rollout(m.segment_key, m.user_key) else true end
order by u.user_id, m.since, s.segment
