-- returns counted: how many journal rows after sequence $1, not older than $2, were counted, at most $3; the cursor is after
-- them then
with first as (
    select sequence from journal where sequence > $1 and time >= $2 order by sequence limit 1
), read as materialized (
    select sequence, time, entered, exited
    from journal
    where sequence >= (select sequence from first) and sequence < (select sequence from first) + $3::integer
        and time >= $2
), changes as materialized (
    select segment_key, day, sum(entered) as entered, sum(exited) as exited
    from (
        select unnest(entered) as segment_key, (time at time zone 'UTC')::date as day, 1 as entered, 0 as exited
        from read where entered is not null
        union all
        select unnest(exited), (time at time zone 'UTC')::date, 0, 1
        from read where exited is not null
    ) each_one
    group by segment_key, day
), days as (
    insert into segment_days as d (segment_key, day, entered, exited)
    select segment_key, day, entered, exited from changes order by segment_key, day
    on conflict (segment_key, day)
        do update set entered = d.entered + excluded.entered, exited = d.exited + excluded.exited
), counts as (
    insert into segment_counts as c (segment_key, members)
    select segment_key, sum(entered - exited) from changes group by segment_key order by segment_key
    on conflict (segment_key) do update set members = c.members + excluded.members
), moved as (
    update tally t set sequence = l.sequence, time = l.time
    from (select sequence, time from read order by sequence desc limit 1) l
)
select count(*) as counted from read
