-- returns how many expiries were held back that are none any more: renewed, removed, forgotten
with gone as (
    delete from expiry_held h
    where not exists (
        select from memberships m
        where m.user_key = h.user_key and m.segment_key = h.segment_key and m.expires_at <= $1
    )
    returning 1
)
select count(*) as gone from gone
