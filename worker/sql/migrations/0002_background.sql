-- What the background jobs need: percents, expiry, retention, and a record of their runs.

-- The contract's formula. A simple expression, so that the planner puts it into the statement that uses it.
create function bucket(salt uuid, user_id text) returns integer language sql stable strict parallel safe
return (
    ('\x00'::bytea || substr(sha256(convert_to(salt::text || ':' || user_id, 'UTF8')), 1, 7))::bigint % 10000 * 256
    + get_byte(sha256(convert_to(salt::text || ':' || user_id, 'UTF8')), 7)
) % 10000;

-- Whether the user is inside the segment's percent. For the few memberships whose own time is over: they go on as
-- rollout memberships, at once, whatever the jobs have done so far.
create function in_rollout(of_segment integer, of_user bigint) returns boolean language sql stable strict parallel safe
return coalesce((
    select bucket(s.salt, u.user_id) < s.percent * 100
    from segments s, users u
    where s.segment_key = of_segment and u.user_key = of_user and s.percent > 0
), false);

-- In the order in which expiry goes, also among those that are over at the same instant.
drop index memberships_expires_at;
create index memberships_expires_at on memberships (expires_at, user_key, segment_key) where expires_at is not null;

create index segments_with_percent on segments (segment_key) where percent > 0 and deleted_at is null;

create or replace view active_memberships as
select
    u.user_id, s.segment, s.segment_id,
    case when m.expires_at <= now() then 'rollout' else m.origin end as origin,
    m.since,
    case when m.expires_at <= now() then null else m.expires_at end as expires_at
from memberships m
join users u using (user_key)
join segments s using (segment_key)
where m.included and s.deleted_at is null
    and case when m.expires_at <= now() then in_rollout(m.segment_key, m.user_key) else true end;

create type decrease_policy as enum ('release', 'keep');

-- A percent on its way to the users that were known when it was set; those that register later are decided then.
-- A new percent begins again. Finished ones stay for a while, for people to see.
create table rollouts (
    segment_key integer primary key references segments,
    percent numeric(5, 2) not null,
    on_decrease decrease_policy not null,
    next_user_key bigint not null default 0,
    last_user_key bigint not null,
    entered bigint not null default 0,
    exited bigint not null default 0,
    requested_at timestamptz not null,
    finished_at timestamptz
);
create index rollouts_unfinished on rollouts (requested_at) where finished_at is null;

-- Memberships whose expiry the database refused: tried again after a while, so that they never stop the others.
create table expiry_held (
    user_key bigint not null,
    segment_key integer not null,
    error text not null,
    failures integer not null default 1,
    retry_at timestamptz not null,
    primary key (user_key, segment_key)
);

-- The last and the current run of each job.
create table job_runs (
    job text primary key,
    started_at timestamptz,
    finished_at timestamptz,
    outcome text,
    error text,
    failures integer not null default 0,
    done bigint not null default 0,
    next_at timestamptz
);

-- A month's report; its journal is kept at least until then.
create table reports (
    month date primary key check (month = date_trunc('month', month)),
    published_at timestamptz
);

-- Makes the journal's partition of a month (UTC) where there is none, and moves what the default partition holds of it.
-- Returns whether it made one.
create function journal_partition_make(of_month date) returns boolean language plpgsql as $$
declare
    begins timestamptz := of_month::timestamp at time zone 'UTC';
    ends timestamptz := (of_month + interval '1 month') at time zone 'UTC';
    name text := 'journal_' || to_char(of_month, 'YYYYMM');
begin
    if to_regclass(name) is not null then
        return false;
    end if;
    lock table journal_default in access exclusive mode;
    execute format('create table %I (like journal including defaults including constraints)', name);
    execute format(
        'with moved as (delete from journal_default where time >= %L and time < %L returning *)
        insert into %I select * from moved',
        begins, ends, name
    );
    execute format('alter table journal attach partition %I for values from (%L) to (%L)', name, begins, ends);
    return true;
end $$;

-- Drops the partitions of months that ended before a time, oldest first, as long as all of a month is published and its
-- report too. Returns their names.
create function journal_partitions_drop(ended_before timestamptz) returns setof text language plpgsql as $$
declare
    name text;
    last_sequence bigint;
    of_month date;
begin
    for name in
        select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
        where i.inhparent = 'journal'::regclass and c.relname ~ '^journal_\d{6}$' order by c.relname
    loop
        of_month := to_date(right(name, 6), 'YYYYMM');
        exit when (of_month + interval '1 month') at time zone 'UTC' > ended_before;
        execute format('select max(sequence) from %I', name) into last_sequence;
        exit when last_sequence > (select published_sequence from relay where relay.name = 'relay');
        exit when last_sequence is not null
            and not exists (select from reports r where r.month = of_month and r.published_at is not null);
        execute format('drop table %I', name);
        return next name;
    end loop;
end $$;

select journal_partition_make((date_trunc('month', now(), 'UTC') at time zone 'UTC' + n * interval '1 month')::date)
from generate_series(0, 2) n;
