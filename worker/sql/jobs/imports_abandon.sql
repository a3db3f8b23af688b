-- returns the imports (as import_end.sql does) that were begun before $1 and never committed, which have failed now
update imports i set state = 'failed', failure = 'abandoned', ended_at = $2
from segments s
where s.segment_key = i.segment_key and i.state = 'open' and not i.is_cleared and i.began_at < $1
returning i.*, s.segment, s.segment_id
