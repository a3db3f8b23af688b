-- returns one row: id and last_sequence of the journal, sequence and time of the oldest row that it has (null: it has
-- none), and since when user $1 is registered (null: it is not known)
select h.id, h.sequence as last_sequence, f.sequence as first_sequence, f.time as first_time, u.registered_at
from journal_head h
left join lateral (select sequence, time from journal order by sequence limit 1) f on true
left join users u on u.user_id = $1
