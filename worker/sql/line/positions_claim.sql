-- returns a row for each partition that is still where this batch begins, in this owner's epoch
update positions p
set next_offset = x.next_offset, updated_at = now()
from unnest($1::text[], $2::integer[], $3::bigint[], $4::bigint[], $5::bigint[])
    as x (topic, partition, epoch, expected_offset, next_offset)
where p.topic = x.topic and p.partition = x.partition and p.epoch = x.epoch and p.next_offset = x.expected_offset
returning p.topic, p.partition
