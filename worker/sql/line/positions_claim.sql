-- returns a row for each partition that is still where this batch begins, in this owner's epoch, with now ($6, or where that
-- is null the server's time) and journaled_at (the time of the journal's last row); locks in the order of topic and partition
with claimed as materialized (
    select p.topic, p.partition, x.next_offset
    from positions p
    join unnest($1::text[], $2::integer[], $3::bigint[], $4::bigint[], $5::bigint[])
        as x (topic, partition, epoch, expected_offset, next_offset)
        on p.topic = x.topic and p.partition = x.partition and p.epoch = x.epoch and p.next_offset = x.expected_offset
    order by p.topic, p.partition
    for update of p
)
update positions p
set next_offset = c.next_offset, updated_at = now()
from claimed c
where p.topic = c.topic and p.partition = c.partition
returning p.topic, p.partition, coalesce($6::timestamptz, clock_timestamp()) as now,
    (select time from journal_head) as journaled_at
