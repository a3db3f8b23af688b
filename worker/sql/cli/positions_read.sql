-- returns topic, partition and next_offset of all partitions of the topics $1 that have a position
select topic, partition, next_offset from positions where topic = any($1::text[]) and next_offset is not null
