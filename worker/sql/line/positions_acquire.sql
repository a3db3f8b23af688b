-- returns topic, partition, next_offset (null: never assigned before) and the new epoch, which fences every other owner
insert into positions as p (topic, partition)
select x.topic, x.partition
from unnest($1::text[], $2::integer[]) as x (topic, partition)
order by x.topic, x.partition
on conflict (topic, partition) do update set epoch = p.epoch + 1
returning p.topic, p.partition, p.next_offset, p.epoch
