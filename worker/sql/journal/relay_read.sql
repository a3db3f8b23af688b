-- returns published_sequence, restart_at (where a person told the relay to go on from, null: nobody did), head_sequence
-- (the last number given out) and oldest_sequence (of the first row that the journal has, null: it has none)
select
    r.published_sequence, r.restart_at, h.sequence as head_sequence,
    (select j.sequence from journal j order by j.sequence limit 1) as oldest_sequence
from relay r, journal_head h
where r.name = 'relay'
