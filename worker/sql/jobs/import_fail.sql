-- returns the import (as import_end.sql does) whose segment was deleted meanwhile, which has failed now; no row: it was not, or the
-- import has ended otherwise
update imports i set state = 'failed', failure = 'segment_deleted', ended_at = $2
from segments s
where i.import_key = $1 and s.segment_key = i.segment_key and s.deleted_at is not null and i.state in ('applying', 'leaving')
returning i.*, s.segment, s.segment_id
