-- Everything that the line needs. All times are timestamptz; text that is compared is in collation "C".

create type membership_origin as enum ('command', 'rollout');

create type event_type as enum (
    'segment.created', 'segment.updated', 'segment.deleted', 'segment.populated',
    'membership.changed', 'command.rejected'
);

create type change_reason as enum (
    'command', 'rollout', 'expiry', 'segment_deleted', 'user_registered', 'user_forgotten'
);

-- One row: which Kafka cluster, topics and group this database belongs to.
create table deployment (
    singleton boolean primary key default true check (singleton),
    cluster_id text not null,
    topic_prefix text not null,
    group_id text not null,
    first_seen_at timestamptz not null default now()
);

create table users (
    user_key bigint generated always as identity primary key,
    registered_at timestamptz not null,
    user_id text collate "C" not null
);
create unique index users_user_id on users (user_id) include (user_key);

-- A segment_key is one generation of a name: deleting marks it, creating again makes another. Never removed, so that
-- the journal can always name what it tells of.
create table segments (
    segment_key integer generated always as identity primary key,
    segment text collate "C" not null,
    segment_id uuid not null unique,
    salt uuid not null,
    description text,
    owner text,
    tags text[] not null default '{}',
    percent numeric(5, 2) check (percent between 0 and 100),
    created_at timestamptz not null,
    updated_at timestamptz not null,
    deleted_at timestamptz
);
create unique index segments_living on segments (segment) include (segment_key) where deleted_at is null;

-- included = false: removed by command, and so out of the segment's rollout until it is added again by command.
create table memberships (
    user_key bigint not null,
    since timestamptz not null,
    expires_at timestamptz,
    segment_key integer not null,
    origin membership_origin not null,
    included boolean not null,
    primary key (user_key, segment_key)
) with (fillfactor = 90);
create index memberships_expires_at on memberships (expires_at) where expires_at is not null;

create view active_memberships as
select u.user_id, s.segment, s.segment_id, m.origin, m.since, m.expires_at
from memberships m
join users u using (user_key)
join segments s using (segment_key)
where m.included and s.deleted_at is null and (m.expires_at is null or m.expires_at > now());

-- Every change, in one order. entered, exited, renewed and unchanged hold segment keys in the command's order;
-- expires_at belongs to entered followed by renewed, and is null where none of them expires.
create table journal (
    sequence bigint not null,
    time timestamptz not null,
    type event_type not null,
    reason change_reason,
    segment_key integer,
    user_id text collate "C",
    entered integer[],
    exited integer[],
    renewed integer[],
    unchanged integer[],
    expires_at timestamptz[],
    command_id text,
    command_source text,
    correlation_id text,
    traceparent text,
    record_key bytea,
    detail json
) partition by range (time);
create index journal_sequence on journal (sequence);
create table journal_default partition of journal default;

-- One row: the last number given out and its time. Locked until commit, so number order is commit order and no number
-- is missing; id makes the events of two databases differ.
create table journal_head (
    singleton boolean primary key default true check (singleton),
    sequence bigint not null,
    time timestamptz not null,
    id text not null
);
insert into journal_head (sequence, time, id) values (0, 'epoch', left(gen_random_uuid()::text, 8));

-- The names of the commands that were decided: 16 bytes of a hash of source and id.
create table inbox (
    name uuid not null,
    seen_at timestamptz not null
);
create unique index inbox_name on inbox (name);
create index inbox_seen_at on inbox using brin (seen_at);

-- The next offset to apply of each partition; null until the first assignment. The epoch grows with each owner.
create table positions (
    topic text collate "C" not null,
    partition integer not null,
    next_offset bigint,
    epoch bigint not null default 0,
    updated_at timestamptz not null default now(),
    primary key (topic, partition)
) with (fillfactor = 50);

-- What the relay has published, as a hint for retention and metrics; the truth is in the topic relay-positions.
create table relay (
    name text primary key,
    published_sequence bigint not null,
    published_at timestamptz not null default now(),
    restart_at bigint
);
insert into relay (name, published_sequence) values ('relay', 0);

-- Deleted segments whose memberships are still being ended: one walk over the blocks of memberships for all segments
-- that were pending when it began (next_block not null); those deleted meanwhile wait for the next walk.
create table deletions (
    segment_key integer primary key references segments,
    deleted_at timestamptz not null,
    next_block bigint,
    exited bigint not null default 0
);
