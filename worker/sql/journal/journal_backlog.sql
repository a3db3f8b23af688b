-- returns unpublished (rows) and oldest_time (of the first of them, null: none)
select h.sequence - r.published_sequence as unpublished,
    (select j.time from journal j where j.sequence = r.published_sequence + 1 limit 1) as oldest_time
from journal_head h, relay r
where r.name = 'relay'
