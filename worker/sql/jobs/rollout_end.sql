-- returns segment, segment_id, percent, entered and exited of the rollout, which is finished by it
update rollouts r
set finished_at = $2
from segments s
where r.segment_key = $1 and r.finished_at is null and s.segment_key = r.segment_key
returning s.segment, s.segment_id, r.percent, r.entered, r.exited
