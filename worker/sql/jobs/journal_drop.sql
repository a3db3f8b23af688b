-- returns name of the journal's partitions that were dropped: months that ended before $1, published and reported
select journal_partitions_drop($1) as name
