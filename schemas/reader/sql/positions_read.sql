-- returns topic, partition, next_offset, last_offset, fingerprint and sequence of each partition that was read
select topic, partition, next_offset, last_offset, fingerprint, sequence from positions order by topic, partition
