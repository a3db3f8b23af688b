-- returns segment_key of the oldest rollout that has not come to its end; no row: there is none
select r.segment_key
from rollouts r join segments s using (segment_key)
where r.finished_at is null and s.deleted_at is null
order by r.requested_at, r.segment_key
limit 1
