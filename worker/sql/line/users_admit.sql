-- returns user_id of the unknown users of commands all of whose segments exist
with item as materialized (
    select x.user_id, x.command, s.segment_key
    from unnest($1::text[], $2::text[], $3::integer[]) as x (user_id, segment, command)
    left join segments s on s.segment = x.segment and s.deleted_at is null
)
select distinct i.user_id
from item i
where i.command not in (select command from item where segment_key is null)
    and not exists (select from users u where u.user_id = i.user_id)
order by i.user_id
