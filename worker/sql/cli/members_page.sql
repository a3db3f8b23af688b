-- returns at most $4 active members of segment key $1 after user key $2, in the order of the user keys; of origin $3 (null: any)
select u.user_key, u.user_id, a.origin::text, m.since, a.expires_at
from memberships m
join users u using (user_key)
join segments s using (segment_key)
cross join lateral active_as(m, s, u.user_id, now()) a
where m.segment_key = $1 and m.user_key > $2 and ($3::text is null or a.origin = $3::membership_origin)
order by m.user_key
limit $4
