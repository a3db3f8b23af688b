-- returns the journal's rows after sequence $1, not older than $2, in order, at most $3
select
    sequence, time, type::text, reason::text, segment_key, user_id, entered, exited, renewed, unchanged, expires_at,
    command_id, correlation_id, traceparent, record_key, detail
from journal
where sequence > $1 and time >= $2
order by sequence
limit $3
