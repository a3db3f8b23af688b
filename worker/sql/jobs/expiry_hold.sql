-- returns user_id and segment of the membership $1, $2, which is held back as it failed with $3 at $4: for $5 seconds,
-- doubled with each failure, at most $6
with held as (
    insert into expiry_held as h (user_key, segment_key, error, retry_at)
    values ($1, $2, $3, $4::timestamptz + $5::integer * interval '1 second')
    on conflict (user_key, segment_key) do update
    set error = excluded.error, failures = h.failures + 1,
        retry_at = $4 + least($5 * 2.0 ^ least(h.failures, 20), $6::integer) * interval '1 second'
    returning user_key, segment_key
)
select u.user_id, s.segment from held join users u using (user_key) join segments s using (segment_key)
