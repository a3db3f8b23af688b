-- returns overdue (count): months from the journal's first one that ended so that their report is due at $1 ($2 after the
-- end), and have none
select count(*) as overdue
from (select date_trunc('month', j.time, 'UTC') at time zone 'UTC' as begins from journal j order by j.sequence limit 1) b
cross join lateral generate_series(
    b.begins, date_trunc('month', $1::timestamptz - $2::interval, 'UTC') at time zone 'UTC' - interval '1 month',
    interval '1 month'
) as x (m)
left join reports r on r.month = x.m::date
where r.published_at is null and r.journal_dropped_at is null
