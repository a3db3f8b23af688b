-- returns begins and ends of the journal's months from $1 to before $2 (null: no bound), newest first
with month as (
    select to_date(right(c.relname, 6), 'YYYYMM')::timestamp as of
    from pg_inherits i join pg_class c on c.oid = i.inhrelid
    where i.inhparent = 'journal'::regclass and c.relname ~ '^journal_\d{6}$'
    union
    select date_trunc('month', time at time zone 'UTC') from journal_default
)
select of at time zone 'UTC' as begins, (of + interval '1 month') at time zone 'UTC' as ends
from month
where ($1::timestamptz is null or of at time zone 'UTC' >= $1)
    and ($2::timestamptz is null or of at time zone 'UTC' < $2)
order by of desc
