-- returns nothing
insert or replace into positions (topic, partition, next_offset, last_offset, fingerprint, sequence)
values (?, ?, ?, ?, ?, ?)
