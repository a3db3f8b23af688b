-- returns the at most $3 first commands that are yet to take effect, that name segment $1 and are about user $2 (null: any)
select s.command_id, s.command_source, s.command_type, s.effective_at, s.scheduled_at, s.user_id, s.import, s.segments, s.data,
    g.segment as import_segment
from schedule s
left join imports i using (import)
left join segments g using (segment_key)
where ($1::text is null or $1 = any(s.segments) or g.segment = $1) and ($2::text is null or s.user_id = $2)
order by s.effective_at, s.rank, s.schedule_key
limit $3
