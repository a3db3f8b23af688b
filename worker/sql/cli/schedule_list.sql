-- returns the at most $3 first commands that are yet to take effect, that name segment $1 and are about user $2 (null: any); none
-- that is about to be rejected, as its user was forgotten
select s.command_id, s.command_source, s.command_type, s.effective_at, s.scheduled_at, s.user_id, s.import, s.segments, s.data,
    g.segment as import_segment
from schedule s
left join imports i using (import)
left join segments g using (segment_key)
where ($1::text is null or $1 = any(s.segments) or g.segment = $1) and ($2::text is null or s.user_id = $2)
    and not exists (
        select from schedule_forgotten f where f.user_id = s.user_id and f.last_schedule_key >= s.schedule_key
    )
order by s.effective_at, s.rank, s.schedule_key
limit $3
