-- Lists of users: staged piece by piece as commands bring them, applied by the job `imports` once they are committed.

alter type event_type add value 'import.began';
alter type event_type add value 'import.received';
alter type event_type add value 'import.completed';
alter type event_type add value 'import.failed';
alter type change_reason add value 'import';

create type import_mode as enum ('add', 'remove', 'replace');

-- open: the list grows; applying: its users are decided, in the order of their ids; leaving: of `replace`, those who are not on
-- it leave, in the order of their keys; then it has ended.
create type import_state as enum ('open', 'applying', 'leaving', 'completed', 'failed');

create table imports (
    import_key bigint generated always as identity primary key,
    began_at timestamptz not null,
    committed_at timestamptz,
    ended_at timestamptz,
    expires_at timestamptz,
    received bigint not null default 0,
    next_user_key bigint not null default 0,
    last_user_key bigint not null default 0,
    users bigint not null default 0,
    entered bigint not null default 0,
    exited bigint not null default 0,
    renewed bigint not null default 0,
    unchanged bigint not null default 0,
    registered bigint not null default 0,
    unknown bigint not null default 0,
    segment_key integer not null references segments,
    mode import_mode not null,
    state import_state not null,
    registers boolean not null,
    is_cleared boolean not null default false,
    import text collate "C" not null unique,
    next_user_id text collate "C" not null default '',
    unknown_sample text[] not null default '{}',
    failure text,
    command_id text,
    command_source text,
    correlation_id text,
    traceparent text
) with (fillfactor = 50);
create index imports_unfinished on imports (import_key) where not is_cleared;

create table import_users (
    import_key bigint not null,
    user_id text collate "C" not null,
    primary key (import_key, user_id)
);

-- What a command, or a list, says about a membership, decided once for both. `was_…` is the membership as it stands.

-- Whether the row has to be written.
create function is_changed_by(
    was_included boolean, was_origin membership_origin, was_until timestamptz,
    included boolean, until timestamptz, at timestamptz
) returns boolean language sql immutable parallel safe
return (was_included or included) and not (
    was_included and included and was_origin = 'command'
    and was_until is not distinct from until and (was_until is null or was_until > at)
);

-- What has come of it: e entered, r renewed, u unchanged, x exited; E and U the same after an expiry that nobody had noted.
-- A membership that was not there is not included.
create function effect_on(
    was_included boolean, was_until timestamptz, was_lapsed boolean, included boolean, until timestamptz
) returns text language sql immutable parallel safe
return case
    when was_included is not true then case when included then 'e' else 'u' end
    when was_lapsed then case when included then 'E' else 'U' end
    when not included then 'x'
    when was_until is distinct from until then 'r'
    else 'u'
end;
