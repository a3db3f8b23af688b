-- returns import, segment, segment_key, received and failure (null: it will be applied; else why not) of the open ones among the
-- imports given, which are closed
with given as materialized (
    select x.*, i.import_key, i.received,
        case
            when s.deleted_at is not null then 'segment_deleted'
            when x.users <> i.received then 'count_mismatch'
        end as failure,
        s.segment, s.segment_key
    from unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::integer[],
        $9::bigint[], $10::integer[])
        as x (
            import, users, command_id, command_source, correlation_id, traceparent,
            topic, partition, record_offset, record_bytes
        )
    join imports i using (import)
    join segments s using (segment_key)
    where i.state = 'open'
    order by i.import_key
    for update of i
), closed as (
    update imports i
    set state = case when g.failure is null then 'applying' else 'failed' end::import_state,
        failure = g.failure,
        committed_at = $11::timestamptz,
        ended_at = case when g.failure is not null then $11::timestamptz end,
        last_user_key = (select coalesce(max(user_key), 0) from users),
        command_id = g.command_id, command_source = g.command_source,
        correlation_id = g.correlation_id, traceparent = g.traceparent,
        commit_topic = g.topic, commit_partition = g.partition, commit_offset = g.record_offset,
        commit_record_bytes = g.record_bytes
    from given g
    where i.import_key = g.import_key
)
select import, segment, segment_key, received, failure from given
