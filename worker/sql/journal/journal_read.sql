-- returns the journal's rows after sequence $1, not older than $2, in order: at most $3, and no more than make $4 bytes
-- of events, where each is taken as large as it can become; the first one in any case. Both ends of the range are given,
-- since with one alone the planner reads and sorts all of a journal that has no statistics yet
with first as (
    select sequence from journal where sequence > $1 and time >= $2 order by sequence limit 1
), measured as (
    select *, sum(bytes) over (order by sequence rows unbounded preceding) as total
    from (
        select *,
            1000 + coalesce(octet_length(detail::text), 0) + 7 * coalesce(octet_length(record_key), 0) + 400 * (
                coalesce(cardinality(entered), 0) + coalesce(cardinality(exited), 0)
                + coalesce(cardinality(renewed), 0) + coalesce(cardinality(unchanged), 0)
            ) as bytes
        from journal
        where sequence >= (select sequence from first) and sequence < (select sequence from first) + $3::integer
            and time >= $2
        order by sequence
    ) x
)
select
    sequence, time, type::text, reason::text, segment_key, user_id, entered, exited, renewed, unchanged, expires_at,
    command_id, command_source, correlation_id, traceparent, record_key, detail
from measured
where total <= $4::bigint or total = bytes
order by sequence
