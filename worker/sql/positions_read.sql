-- returns topic, partition, next_offset and epoch of the partitions named
select p.topic, p.partition, p.next_offset, p.epoch
from positions p
join unnest($1::text[], $2::integer[]) as x (topic, partition) using (topic, partition)
