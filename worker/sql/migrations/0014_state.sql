-- Snapshots of all users' states for the topic `memberships`: asked for by a person, or by the relay when the topic was
-- switched on. How far one is stands in Kafka, beside what it has written; here it is told for people.
create table state_snapshots (
    snapshot integer primary key,
    requested_at timestamptz not null default now(),
    began_at timestamptz,
    finished_at timestamptz,
    users bigint not null default 0
) with (fillfactor = 50);
