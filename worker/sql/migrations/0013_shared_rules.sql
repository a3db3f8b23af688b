-- What commands and lists have in common has one home, and lists keep to the limit of a user's segments.

alter table imports
    add column too_many_segments bigint not null default 0,
    add column too_many_segments_sample text[] not null default '{}';

-- Since when a membership, or its exclusion, is what it is after a command or a list has said so: one that goes on keeps its
-- beginning. `was_…` is the membership as it stands.
create function since_after(
    was_included boolean, was_since timestamptz, was_lapsed boolean, included boolean, at timestamptz
) returns timestamptz language sql immutable parallel safe
return case
    when not (was_included and included) then at
    when was_lapsed then at
    else was_since
end;

-- How many memberships a user has, as they count for the limit: also those that are over, until that is noted.
create function memberships_held(of_user bigint) returns bigint language sql stable parallel safe
return (select count(*) from memberships m where m.user_key = of_user and m.included);

-- Makes users known, and puts them into the segments whose percents they fall into. Returns those who were not known before,
-- with what they entered; null: nothing.
create function register_users(user_ids text[], at timestamptz) returns table (user_id text, entered integer[])
language sql volatile rows 1000
begin atomic
    with fresh as (
        insert into users (user_id, registered_at)
        select x, at from unnest(user_ids) as x order by x
        on conflict (user_id) do nothing
        returning users.user_key, users.user_id
    ), entered as (
        insert into memberships (user_key, segment_key, included, origin, since)
        select f.user_key, s.segment_key, true, 'rollout', at
        from fresh f, segments s
        where s.percent > 0 and s.deleted_at is null and is_inside(s.salt, s.percent, f.user_id)
        returning memberships.user_key, memberships.segment_key
    )
    select f.user_id, e.segment_keys
    from fresh f
    left join (
        select user_key, array_agg(segment_key order by segment_key) as segment_keys from entered group by user_key
    ) e using (user_key);
end;

-- Every segment that ever was, with its users as of a number of the journal; members are null until the first count. Not for
-- readers outside: its columns change as the commands need them.
create view segments_counted as
select
    s.segment_key, s.segment, s.segment_id, s.description, s.owner, s.tags, s.percent, s.created_at, s.deleted_at,
    case when t.sequence is not null then coalesce(c.members, 0) end as members,
    coalesce(d.entered, 0) as entered_today,
    coalesce(d.exited, 0) as exited_today,
    t.sequence as as_of_sequence
from segments s
cross join tally t
left join segment_counts c using (segment_key)
left join segment_days d on d.segment_key = s.segment_key and d.day = (now() at time zone 'UTC')::date;

create or replace view segment_overview as
select segment, segment_id, owner, tags, percent, created_at, members, entered_today, exited_today, as_of_sequence
from segments_counted
where deleted_at is null;
