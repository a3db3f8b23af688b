-- returns n, command_id, command_source, command_type, effective_at, user_id, import, segment and segment_key (null: none lives) of
-- the commands that waited under the n-th name of $1, on topic $2[n] and under the record key $3[n]; they wait no longer, and
-- their names are remembered from $4 on
with given as materialized (
    select x.n, s.schedule_key
    from unnest($1::uuid[], $2::text[], $3::bytea[]) with ordinality as x (name, topic, record_key, n)
    join schedule s on s.name = x.name and s.name = any($1::uuid[]) and s.topic = x.topic and s.record_key = x.record_key
    order by s.effective_at, s.rank, s.schedule_key
    for update of s
), gone as (
    delete from schedule s using given g where s.schedule_key = g.schedule_key returning g.n, s.*
), remembered as (
    update inbox i set seen_at = $4 from gone g where i.name = g.name and i.name = any($1::uuid[])
)
select g.n, g.command_id, g.command_source, g.command_type, g.effective_at, g.user_id, g.import,
    case when g.rank = 0 then g.segments[1] end as segment, s.segment_key
from gone g
left join segments s on g.rank = 0 and s.segment = g.segments[1] and s.deleted_at is null
