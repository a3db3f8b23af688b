-- returns how many names from before $1 were forgotten, among the blocks from $2 to before $3
with gone as (
    delete from inbox
    where ctid >= format('(%s,0)', $2::bigint)::tid and ctid < format('(%s,0)', $3::bigint)::tid and seen_at < $1
    returning 1
)
select count(*) as gone from gone
