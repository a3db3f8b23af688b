-- returns segment_key, segment_id and segment of each
select segment_key, segment_id, segment from segments order by segment_key
