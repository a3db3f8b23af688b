-- returns blocks (of the table inbox)
select pg_relation_size('inbox') / current_setting('block_size')::bigint as blocks
