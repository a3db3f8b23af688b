-- returns segment_key of the walk in hand, or of a new one over all that are pending
with walking as (
    select exists (select from deletions where next_block is not null) as under_way
), begun as (
    update deletions set next_block = 0
    where not (select under_way from walking)
    returning segment_key, next_block
)
select segment_key, next_block from begun
union all
select segment_key, next_block from deletions where (select under_way from walking) and next_block is not null
