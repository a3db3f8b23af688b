-- Commands that take effect later: kept here until the job `schedule` decides them, or a command takes them back.

alter type event_type add value 'command.scheduled';
alter type event_type add value 'command.unscheduled';

-- A row goes when its command is decided or cancelled. They are decided in the order of their instants, of one instant those of
-- segments (rank 0) before all others, as in a batch, and then in the order in which they came. `data` is as in the contract,
-- with each ttl as the instant that it came to; `record` is the beginning of the Kafka record, for a rejection.
create table schedule (
    schedule_key bigint generated always as identity primary key,
    effective_at timestamptz not null,
    scheduled_at timestamptz not null,
    time timestamptz not null,
    name uuid not null unique,
    record_offset bigint not null,
    partition integer not null,
    record_bytes integer not null,
    rank smallint not null,
    command_type text not null,
    command_id text not null,
    command_source text not null,
    correlation_id text,
    traceparent text,
    topic text not null,
    record_key bytea not null,
    record bytea,
    user_id text collate "C",
    import text collate "C",
    segments text[] collate "C" not null,
    data json not null
);
create index schedule_due on schedule (effective_at, rank, schedule_key);
create index schedule_user on schedule (user_id) where user_id is not null;
