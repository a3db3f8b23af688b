-- returns user_id and each of the user's memberships that is active at $2, oldest first; $3 rows of all at most
select u.user_id, s.segment, s.segment_id, a.origin, m.since, a.expires_at
from users u
join memberships m using (user_key)
join segments s using (segment_key)
cross join lateral active_as(m, s, u.user_id, $2) a
where u.user_id = any($1::text[])
order by u.user_id, m.since, s.segment
limit $3
