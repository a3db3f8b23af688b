-- returns segment_key of the rollouts that had finished before $1 and are forgotten
delete from rollouts where finished_at < $1 returning segment_key
