-- returns the at most $5 newest rows before sequence $4, of the time from $2 to before $3, that change user $1 in one of the
-- segments $6 or forget it; where $6 is null, all about it: the changes, and the rejections on topic $7 with its key
select
    sequence, time, type::text, reason::text, segment_key, user_id, entered, exited, renewed, unchanged, expires_at,
    command_id, command_source, correlation_id, traceparent, record_key, detail
from journal
where time >= $2 and time < $3 and sequence < $4
    and (
        user_id = $1 and (
            $6::integer[] is null or reason = 'user_forgotten'
            or entered && $6 or exited && $6 or renewed && $6 or unchanged && $6
        )
        or record_key = convert_to($1, 'UTF8') and $6::integer[] is null
            and type = 'command.rejected' and detail ->> 'topic' = $7
    )
order by sequence desc
limit $5
