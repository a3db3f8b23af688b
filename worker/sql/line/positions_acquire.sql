-- returns topic, partition, next_offset (null: never assigned before), the new epoch, which fences every other owner, and the id of the topic that the position belongs to
insert into positions as p (topic, partition, topic_id)
select x.topic, x.partition, x.topic_id
from unnest($1::text[], $2::integer[], $3::uuid[]) as x (topic, partition, topic_id)
order by x.topic, x.partition
on conflict (topic, partition) do update
set epoch = p.epoch + 1,
    -- where nothing was applied yet, a topic that was created again is as good as the one before
    topic_id = case
        when p.next_offset > 0 then coalesce(p.topic_id, excluded.topic_id)
        else coalesce(excluded.topic_id, p.topic_id)
    end
returning p.topic, p.partition, p.next_offset, p.epoch, p.topic_id
