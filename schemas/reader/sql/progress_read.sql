-- returns read_at, when the store was read on last, microseconds
select read_at from progress
