-- returns the at most $3 first commands that are yet to change whether user $1 is in segment $2: those about both, those that
-- forget the user, those about the segment, and lists for it; none that is about to be rejected, as the user was forgotten
select s.command_id, s.command_source, s.command_type, s.effective_at, s.scheduled_at, s.user_id, s.import, s.segments, s.data,
    g.segment as import_segment
from schedule s
left join imports i using (import)
left join segments g using (segment_key)
where s.user_id = $1 and (s.command_type = 'user.forget' or $2 = any(s.segments))
    and not exists (
        select from schedule_forgotten f where f.user_id = $1 and f.last_schedule_key >= s.schedule_key
    )
    or s.user_id is null and ($2 = any(s.segments) or g.segment = $2)
order by s.effective_at, s.rank, s.schedule_key
limit $3
