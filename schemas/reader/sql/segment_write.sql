-- returns nothing
insert into segments (segment_key, segment_id, segment) values (?, ?, ?)
