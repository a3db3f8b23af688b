-- returns unpublished (rows), published_sequence (what is published up to), and oldest_time (of the first row that is
-- not, null: none)
select h.sequence - r.published_sequence as unpublished, r.published_sequence,
    (select j.time from journal j where j.sequence = r.published_sequence + 1 limit 1) as oldest_time
from journal_head h, relay r
where r.name = 'relay'
