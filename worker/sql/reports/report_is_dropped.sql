-- returns is_dropped: whether the month's journal is gone
select exists (select from reports where month = $1 and journal_dropped_at is not null) as is_dropped
