-- How many users are in each segment, and how many came and went each day (UTC). Kept by the job `tally`, which reads the
-- journal behind a cursor of its own: exact as of the cursor's sequence, and no command ever updates a count.

create table tally (
    singleton boolean primary key default true check (singleton),
    sequence bigint,
    time timestamptz,
    check ((sequence is null) = (time is null))
) with (fillfactor = 50);
insert into tally default values;  -- null: nothing was counted yet

create table segment_counts (
    segment_key integer primary key,
    members bigint not null
) with (fillfactor = 50);

create table segment_days (
    segment_key integer not null,
    day date not null,
    entered bigint not null,
    exited bigint not null,
    primary key (segment_key, day)
) with (fillfactor = 50);

-- For SQL readers, and stable: columns are only ever added. The segments that there are, with their users as of a number of
-- the journal; members are null until the first count.
create view segment_overview as
select
    s.segment, s.segment_id, s.owner, s.tags, s.percent, s.created_at,
    case when t.sequence is not null then coalesce(c.members, 0) end as members,
    coalesce(d.entered, 0) as entered_today,
    coalesce(d.exited, 0) as exited_today,
    t.sequence as as_of_sequence
from segments s
cross join tally t
left join segment_counts c using (segment_key)
left join segment_days d on d.segment_key = s.segment_key and d.day = (now() at time zone 'UTC')::date
where s.deleted_at is null;
