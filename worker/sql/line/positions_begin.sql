-- returns topic and partition of those whose first position was stored; nothing where another owner came first
update positions p
set next_offset = x.next_offset, updated_at = now()
from unnest($1::text[], $2::integer[], $3::bigint[], $4::bigint[]) as x (topic, partition, epoch, next_offset)
where p.topic = x.topic and p.partition = x.partition and p.epoch = x.epoch and p.next_offset is null
returning p.topic, p.partition
