-- returns user_id and segment of the membership that has been due longest, which is held back until $3 as it failed
with due as (
    select m.user_key, m.segment_key
    from memberships m
    where m.expires_at <= $1
        and not exists (
            select from expiry_held h
            where h.user_key = m.user_key and h.segment_key = m.segment_key and h.retry_at > $1
        )
    order by m.expires_at, m.user_key, m.segment_key
    limit 1
), held as (
    insert into expiry_held as h (user_key, segment_key, error, retry_at)
    select user_key, segment_key, $2, $3 from due
    on conflict (user_key, segment_key) do update
    set error = excluded.error, failures = h.failures + 1, retry_at = excluded.retry_at
    returning user_key, segment_key
)
select u.user_id, s.segment from held join users u using (user_key) join segments s using (segment_key)
