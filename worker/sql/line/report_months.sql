-- returns begins (of the journal's first month, null: it is empty) and dropped (the months of which nothing is left)
select
    (select date_trunc('month', j.time, 'UTC') from journal j order by j.sequence limit 1) as begins,
    array(select month from reports where journal_dropped_at is not null order by month) as dropped
