-- returns unpublished (rows) and published_sequence (what is published up to)
select h.sequence - r.published_sequence as unpublished, r.published_sequence
from journal_head h, relay r
where r.name = 'relay'
