-- returns each generation of segment $2, oldest first, with what is known of user $1 in it; all of it as of the journal's
-- last_sequence and of asked_at
select
    h.sequence as last_sequence, now() as asked_at, u.registered_at,
    s.segment_key, s.segment_id::text, s.created_at, s.deleted_at, s.percent,
    bucket(s.salt, $1) as bucket,
    is_inside(s.salt, s.percent, $1) as is_inside,
    m.included as is_included, m.origin::text, m.since, m.expires_at,
    a.segment_id is not null as is_active,
    r.requested_at, r.finished_at, r.on_decrease::text,
    coalesce(r.finished_at is null and u.user_key > r.next_user_key and u.user_key <= r.last_user_key, false)
        as is_awaited,
    x.error as expiry_error
from segments s
cross join journal_head h
left join users u on u.user_id = $1
left join memberships m on m.user_key = u.user_key and m.segment_key = s.segment_key
left join active_memberships a on a.user_id = $1 and a.segment_id = s.segment_id
left join rollouts r on r.segment_key = s.segment_key
left join expiry_held x on x.user_key = m.user_key and x.segment_key = m.segment_key
where s.segment = $2
order by s.segment_key
