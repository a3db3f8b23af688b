-- returns the sequence of the last row appended, and now: $17, or where that is null the server's time, read when the counter
-- was locked; the rows are numbered in the order given, and have the time $1, or the last row's if that is later
with head as materialized (
    select taken_after, time from journal_numbers(cardinality($2::text[]), $1)
), appended as (
    insert into journal (
        sequence, time, type, reason, segment_key, user_id, entered, exited, renewed, unchanged, expires_at,
        command_id, command_source, correlation_id, traceparent, record_key, detail
    )
    select
        h.taken_after + x.n, h.time, x.type::event_type, x.reason::change_reason,
        x.segment_key, x.user_id, x.entered::integer[], x.exited::integer[], x.renewed::integer[],
        x.unchanged::integer[], x.expires_at::timestamptz[],
        x.command_id, x.command_source, x.correlation_id, x.traceparent, x.record_key, x.detail::json
    from head h, unnest(
        $2::text[], $3::text[], $4::integer[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[],
        $11::text[], $12::text[], $13::text[], $14::text[], $15::bytea[], $16::text[]
    ) with ordinality as x (
        type, reason, segment_key, user_id, entered, exited, renewed, unchanged, expires_at,
        command_id, command_source, correlation_id, traceparent, record_key, detail, n
    )
)
select taken_after + cardinality($2::text[]) as sequence, coalesce($17::timestamptz, clock_timestamp()) as now from head
