-- returns the import and its segment if it was applied to its end, which is noted; no row: it has ended otherwise
update imports i set state = 'completed', ended_at = $2
from segments s
where i.import_key = $1 and s.segment_key = i.segment_key and i.state in ('applying', 'leaving')
returning i.*, s.segment, s.segment_id
