-- returns the partition's next_offset from before (null: none); its owner, if there is one, is fenced and reads it anew
with before as (
    select next_offset from positions where topic = $1 and partition = $2
), written as (
    insert into positions (topic, partition, next_offset, topic_id) values ($1, $2, $3, $4)
    on conflict (topic, partition) do update
    set next_offset = excluded.next_offset, topic_id = excluded.topic_id, epoch = positions.epoch + 1, updated_at = now()
)
select (select next_offset from before) as next_offset
