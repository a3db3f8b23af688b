-- The monthly report: what was published, every attempt, who has asked.

alter type event_type add value 'report.published';
alter type event_type add value 'report.failed';

-- A row for each month that a report was begun for. published_at: the last complete edition (of the whole month, public);
-- made_at: the last edition, of a running month too. failures: in a row; a permanent error waits for a person, or for another storage.
alter table reports
    add column made_at timestamptz,
    add column is_partial boolean,
    add column storage text,
    add column link text,
    add column page_link text,
    add column rows bigint,
    add column bytes bigint,
    add column sha256 text,
    add column attempts integer not null default 0,
    add column failures integer not null default 0,
    add column error_code text,
    add column error text,
    add column failed_at timestamptz,
    add column is_permanent boolean not null default false,
    add column retry_at timestamptz,
    add column journal_dropped_at timestamptz;

-- The ids of a month's two documents in a storage: reserved before the first upload, and kept, so that the links stay.
create table report_documents (
    month date not null references reports,
    storage text not null,
    file_id text,
    page_id text,
    primary key (month, storage)
);

create table report_attempts (
    month date not null references reports,
    attempt integer not null,
    began_at timestamptz not null,
    ended_at timestamptz,
    storage text not null,
    outcome text check (outcome in ('published', 'failed', 'interrupted')),
    rows bigint,
    rows_total bigint,
    bytes bigint,
    error_code text,
    error text,
    primary key (month, attempt)
);

-- Requests that no published report has answered yet; told_code: the last failure that the sender was told.
create table report_requests (
    request_key bigint generated always as identity primary key,
    month date not null,
    requested_at timestamptz not null,
    command_id text not null,
    command_source text not null,
    correlation_id text,
    traceparent text,
    told_code text
);

-- Other people's text that a spreadsheet would run as a formula, made harmless by an apostrophe before it: = + - @ (ASCII
-- or full width) at the beginning, or after what some program may take for the end of a column or a line, white space
-- and invisible characters between not counted; and a tab or a line break at the beginning. Most values need no more
-- than a look at their first character and for those separators.
create function spreadsheet_safe(value text) returns text language sql immutable parallel safe
return case
    when ascii(value) in (61, 43, 45, 64, 65309, 65291, 65293, 65312, 9, 10, 11, 12, 13, 32, 34, 160, 8203, 65279)
        or strpos(value, ',') > 0 or strpos(value, ';') > 0 or strpos(value, '|') > 0 or strpos(value, '"') > 0
        or strpos(value, chr(9)) > 0 or strpos(value, chr(10)) > 0 or strpos(value, chr(13)) > 0
    then case when ascii(value) in (9, 10, 13) then '''' else '' end || regexp_replace(
        value, '(^|[,;|"\t\n\r])(?=[\s\u00a0\u200b\ufeff]*[-=+@\uff1d\uff0b\uff0d\uff20])', '\1''', 'g'
    )
    else value
end;

-- UTC, ISO 8601, microseconds.
create function utc_text(value timestamptz) returns text language sql stable parallel safe
return to_char(value at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');

-- As before, and notes in reports which months' journal is gone.
create or replace function journal_partitions_drop(ended_before timestamptz) returns setof text language plpgsql as $$
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
        insert into reports (month, journal_dropped_at) values (of_month, now())
        on conflict (month) do update set journal_dropped_at = excluded.journal_dropped_at;
        return next name;
    end loop;
end $$;
