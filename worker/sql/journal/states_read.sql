-- returns n (a user's place among $1), is_known (false: forgotten, or never there), sequence (of the journal's last row: all
-- that the events up to it say is held) and each membership, null for none: segment_key, origin, since, expires_at, as the
-- events have told it; so many users from the first on as have $2 memberships together (none counts as one), one at least.
-- One statement sees one state. No clock is asked: what is over counts until its expiry has been journaled. Members of a
-- deleted segment, who are there until its deletion has run, count no more
select n, is_known, (select sequence from journal_head) as sequence, segment_key, origin, since, expires_at
from (
    select x.n, u.user_key is not null as is_known, m.segment_key, m.origin, m.since, m.expires_at,
        count(*) over (order by x.n) as total
    from unnest($1::text[]) with ordinality as x (user_id, n)
    -- for each user, so that no estimate makes it read a whole table
    left join lateral (select user_key from users u where u.user_id = x.user_id limit 1) u on true
    left join lateral (
        select m.segment_key, m.origin::text as origin, m.since, m.expires_at
        from memberships m
        where m.user_key = u.user_key and m.included
            and m.segment_key not in (select segment_key from deletions)
        offset 0
    ) m on true
) held
where total <= $2 or n = 1
order by n, since, segment_key
