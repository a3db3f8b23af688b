-- returns now, which is $1, or where that is null the server's time; and journaled_at (the time of the journal's last row)
select coalesce($1::timestamptz, clock_timestamp()) as now, (select time from journal_head) as journaled_at
