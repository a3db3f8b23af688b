-- returns the rows of the segments as they are after it; unknown ones are left out; a field is set where its flag says
update segments s
set description = case when x.set_description then x.description else s.description end,
    owner = case when x.set_owner then x.owner else s.owner end,
    tags = case when x.tags is null then s.tags else array(select json_array_elements_text(x.tags)) end,
    percent = coalesce(x.percent, s.percent),
    updated_at = $8
from unnest($1::text[], $2::boolean[], $3::text[], $4::boolean[], $5::text[], $6::json[], $7::numeric[])
    as x (segment, set_description, description, set_owner, owner, tags, percent)
where s.segment = x.segment and s.deleted_at is null
returning s.segment_key, s.segment, s.segment_id, s.salt, s.description, s.owner, s.tags, s.percent
