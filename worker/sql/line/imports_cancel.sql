-- returns import, segment and segment_key of those among the imports given that had not ended, and have now, with what is known of
-- the command that had closed them: command_id (null: none had), command_source, correlation_id, traceparent, and where its
-- record came from: commit_topic (null: not known), commit_partition, commit_offset and commit_record_bytes
with given as materialized (
    select i.import_key from imports i
    where i.import = any($1::text[]) and i.state in ('open', 'applying', 'leaving')
    order by i.import_key
    for update
), ended as (
    update imports i set state = 'failed', failure = 'cancelled', ended_at = $2
    from given g where i.import_key = g.import_key
    returning i.*
)
select e.import, s.segment, s.segment_key, e.command_id, e.command_source, e.correlation_id, e.traceparent,
    e.commit_topic, e.commit_partition, e.commit_offset, e.commit_record_bytes
from ended e join segments s using (segment_key)
