-- What counts as a membership, and how the journal is numbered: each said once, for every statement that needs it.

-- Whether a user is inside a percent. A simple expression, so that the planner puts it into the statement that uses it.
create function is_inside(salt uuid, percent numeric, user_id text) returns boolean language sql stable parallel safe
return case when percent > 0 then bucket(salt, user_id) < percent * 100 else false end;

-- Whether an included membership has lapsed by a time: its own time is over, and the user was not inside the segment's
-- percent, by which it would have gone on. Nothing lapses after its segment was deleted: what counted then is ended by
-- the deletion. Put into the statement, `inside` is evaluated only for what is over.
create function is_lapsed(expires_at timestamptz, deleted_at timestamptz, by timestamptz, inside boolean) returns boolean
language sql stable parallel safe
return case when expires_at <= least(by, deleted_at) then not inside else false end;

-- As before, also for a deleted segment, as of its end.
create or replace function in_rollout(of_segment integer, of_user bigint) returns boolean
language sql stable strict parallel safe
return coalesce((
    select is_inside(s.salt, s.percent, u.user_id)
    from segments s, users u
    where s.segment_key = of_segment and u.user_key = of_user and s.percent > 0
), false);

-- What a user's membership of a segment counts as at a time; no row: it is not active. What is over by itself and goes on
-- by the percent is a rollout membership without an expiry.
create function active_as(m memberships, s segments, user_id text, at timestamptz)
returns table (origin membership_origin, expires_at timestamptz) language sql stable parallel safe rows 1
begin atomic
    select case when m.expires_at <= at then 'rollout' else m.origin end,
        case when m.expires_at <= at then null else m.expires_at end
    where m.included and s.deleted_at is null
        and not is_lapsed(m.expires_at, s.deleted_at, at, is_inside(s.salt, s.percent, user_id));
end;

create or replace view active_memberships as
select u.user_id, s.segment, s.segment_id, a.origin, m.since, a.expires_at
from memberships m
join users u using (user_key)
join segments s using (segment_key)
cross join lateral active_as(m, s, u.user_id, now()) a;

-- Takes so many of the journal's next numbers: those after `taken_after`, with their time, which never decreases along
-- them. The counter's row is locked until the transaction ends. No row where none is wanted.
create function journal_numbers(wanted bigint, at timestamptz) returns table (taken_after bigint, "time" timestamptz)
language sql volatile rows 1
begin atomic
    update journal_head h
    set sequence = h.sequence + wanted, "time" = greatest(h."time", at)
    where wanted > 0
    returning h.sequence - wanted, h."time";
end;
