-- returns n and segment_key of those of the commands, the n-th of each array, that are about a segment that lives; all of them
-- are kept until they are due, and their names, which this transaction has taken, are remembered from then on
with given as materialized (
    select * from unnest(
        $2::timestamptz[], $3::timestamptz[], $4::uuid[], $5::bigint[], $6::integer[], $7::integer[], $8::smallint[],
        $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::bytea[], $16::bytea[],
        $17::text[], $18::text[], $19::text[], $20::text[]
    ) with ordinality as x (
        effective_at, time, name, record_offset, partition, record_bytes, rank,
        command_type, command_id, command_source, correlation_id, traceparent, topic, record_key, record,
        user_id, import, segments, data, n
    )
), added as (
    insert into schedule (
        effective_at, scheduled_at, time, name, record_offset, partition, record_bytes, rank,
        command_type, command_id, command_source, correlation_id, traceparent, topic, record_key, record,
        user_id, import, segments, data
    )
    select
        effective_at, $1, time, name, record_offset, partition, record_bytes, rank,
        command_type, command_id, command_source, correlation_id, traceparent, topic, record_key, record,
        user_id, import, segments::text[], data::json
    from given order by n
), remembered as (
    update inbox i set seen_at = g.effective_at from given g where i.name = g.name and i.name = any($4::uuid[])
)
select g.n, s.segment_key
from given g join segments s on s.segment = (g.segments::text[])[1] and s.deleted_at is null
where g.rank = 0
