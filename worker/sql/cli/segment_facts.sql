-- returns all about segment $1, of the generation that lives or else the last one; no row: it has never been there
select
    s.segment_key, s.segment, s.segment_id, s.salt, s.description, s.owner, s.tags, s.percent, s.created_at, s.updated_at,
    s.deleted_at,
    c.members, c.as_of_sequence,
    h.sequence as last_sequence, now() as asked_at,
    r.percent as rollout_percent, r.requested_at as rollout_requested_at, r.finished_at as rollout_finished_at,
    r.entered as rollout_entered, r.exited as rollout_exited,
    case when r.finished_at is null then (select count(*) from users u where u.user_key <= r.next_user_key) end
        as rollout_done,
    case when r.finished_at is null then (select count(*) from users u where u.user_key <= r.last_user_key) end
        as rollout_users
from segments s
join segments_counted c using (segment_key)
cross join journal_head h
left join rollouts r using (segment_key)
where s.segment = $1
order by s.deleted_at desc nulls first, s.segment_key desc
limit 1
