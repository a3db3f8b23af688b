-- returns user_id and each of the user's memberships that is active at $2, oldest first
select u.user_id, s.segment, s.segment_id, m.origin, m.since, m.expires_at
from users u
join memberships m using (user_key)
join segments s using (segment_key)
where u.user_id = any($1::text[]) and m.included and s.deleted_at is null
    and (m.expires_at is null or m.expires_at > $2)
order by u.user_id, m.since, s.segment
