-- returns is_begun (whether there was a first count) and behind (journal rows that are not counted yet)
select t.sequence is not null as is_begun, coalesce(h.sequence - t.sequence, 0) as behind
from tally t, journal_head h
