-- returns import, segment, segment_key and segment_id (null: there is no such segment) and is_new (the import was opened) of each of
-- the imports given, in no order
with wanted as materialized (
    select x.import, x.segment, x.mode, x.expires_at, x.registers, s.segment_key, s.segment_id
    from unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::boolean[])
        as x (import, segment, mode, expires_at, registers)
    left join segments s on s.segment = x.segment and s.deleted_at is null
), opened as (
    insert into imports (import, segment_key, mode, expires_at, registers, state, began_at)
    select import, segment_key, mode::import_mode, expires_at, registers, 'open', $6
    from wanted where segment_key is not null
    order by import
    on conflict (import) do nothing
    returning import
)
select w.import, w.segment, w.segment_key, w.segment_id, o.import is not null as is_new
from wanted w left join opened o using (import)
