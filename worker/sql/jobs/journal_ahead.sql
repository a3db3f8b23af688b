-- returns made (count): partitions of the journal for $1's month and the $2 after it, where there were none
select count(*) filter (where journal_partition_make(x.of_month)) as made
from (
    select (date_trunc('month', $1::timestamptz, 'UTC') at time zone 'UTC' + n * interval '1 month')::date as of_month
    from generate_series(0, $2::integer) as n
) x
