-- returns the rows of the segments that were created; those whose name is taken are left out
insert into segments (segment, segment_id, salt, description, owner, tags, percent, created_at, updated_at)
select x.segment, x.segment_id, x.salt, x.description, x.owner,
    array(select json_array_elements_text(x.tags)), x.percent, $8, $8
from unnest($1::text[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::json[], $7::numeric[])
    as x (segment, segment_id, salt, description, owner, tags, percent)
order by x.segment
on conflict (segment) where deleted_at is null do nothing
returning segment_key, segment, segment_id, salt, description, owner, tags, percent
