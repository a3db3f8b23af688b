-- returns segment_key, segment, segment_id and exited of the deletions that this ended, and forgets them
with ended as (
    delete from deletions where segment_key = any($1::integer[]) returning segment_key, exited
)
select s.segment_key, s.segment, s.segment_id, e.exited from ended e join segments s using (segment_key)
order by s.segment_key
