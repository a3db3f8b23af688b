-- returns name of the journal's partitions that were dropped: months that ended before $1, published, reported and counted
select journal_partitions_drop(case when t.sequence < h.sequence then least($1, t.time) else $1 end) as name
from tally t, journal_head h
