-- returns every import that is remembered, or only import $1 (null: all), the newest first, with its segment; left_share (of
-- those who may have to leave, how many were looked at; null: nobody is)
select i.import, s.segment, s.segment_id, i.mode::text, i.state::text, i.failure, i.expires_at, i.began_at, i.committed_at,
    i.ended_at, i.received, i.users, i.entered, i.exited, i.renewed, i.unchanged, i.registered, i.unknown, i.unknown_sample,
    i.too_many_segments, i.too_many_segments_sample,
    case when i.state = 'leaving' and i.last_user_key > 0
        then least(1.0, i.next_user_key::numeric / i.last_user_key)::float8 end as left_share
from imports i join segments s using (segment_key)
where $1::text is null or i.import = $1
order by i.began_at desc, i.import_key desc
