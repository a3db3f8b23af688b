-- returns n (a user's place among $1), is_known (false: forgotten, or never there), sequence (of the journal's last row: all
-- that the events up to it say is held) and each membership, null for none: segment_key, origin, since, expires_at, as the
-- events have told it; so many users from the first on as have $2 memberships together (none counts as one), one at least.
-- One statement sees one state. At -infinity nothing has lapsed: an expiry counts once its event has been journaled
select n, is_known, sequence, segment_key, origin, since, expires_at
from (
    select x.n, u.user_key is not null as is_known, h.sequence, m.segment_key, m.origin, m.since, m.expires_at,
        count(*) over (order by x.n) as total
    from journal_head h
    cross join unnest($1::text[]) with ordinality as x (user_id, n)
    -- for each user, so that no estimate makes it read a whole table
    left join lateral (select user_key from users u where u.user_id = x.user_id limit 1) u on true
    left join lateral (
        select m.segment_key, a.origin::text as origin, m.since, a.expires_at
        from memberships m
        join segments s using (segment_key)
        cross join lateral active_as(m, s, x.user_id, '-infinity') a
        where m.user_key = u.user_key
        offset 0
    ) m on true
) held
where total <= $2 or n = 1
order by n, since, segment_key
