-- returns segment_key, segment and segment_id, of living and deleted segments
select segment_key, segment, segment_id from segments where segment_key = any($1::integer[])
