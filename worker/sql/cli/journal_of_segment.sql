-- returns the at most $4 newest rows about segment key $1 itself, of the time from $2 to before $3; the pieces of imports are
-- left out, since a large list has thousands of them
select
    sequence, time, type::text, reason::text, segment_key, user_id, entered, exited, renewed, unchanged, expires_at,
    command_id, command_source, correlation_id, traceparent, record_key, detail
from journal
where segment_key = $1 and type::text <> 'import.received' and time >= $2 and time < $3
order by sequence desc
limit $4
