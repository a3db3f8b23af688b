-- Whoever is forgotten has nothing left to come, and each committed list has one outcome.

-- Users who were forgotten while commands about them were scheduled. Those up to the key are rejected at once by the job
-- `schedule`, however many there are; a row goes when none of them is left.
create table schedule_forgotten (
    user_id text collate "C" primary key,
    last_schedule_key bigint not null,
    forgotten_at timestamptz not null
);

-- Where the record of the command came from that closed the list, for its rejection if the list is cancelled; null: a worker
-- of an earlier version has read it.
alter table imports
    add column commit_topic text,
    add column commit_partition integer,
    add column commit_offset bigint,
    add column commit_record_bytes integer;
