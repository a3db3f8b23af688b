-- returns user_key and segment_key of the membership that has been due longest, of those that nobody has in hand
select m.user_key, m.segment_key
from memberships m
where m.expires_at <= $1
    and not exists (
        select from expiry_held h
        where h.user_key = m.user_key and h.segment_key = m.segment_key and h.retry_at > $1
    )
order by m.expires_at, m.user_key, m.segment_key
limit 1
for update of m skip locked
