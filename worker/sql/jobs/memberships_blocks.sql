-- returns the number of blocks of the table memberships
select pg_relation_size('memberships') / current_setting('block_size')::bigint as blocks
