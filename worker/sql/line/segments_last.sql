-- returns segment_key, the largest that was ever given (null: none was)
select max(segment_key) as segment_key from segments
