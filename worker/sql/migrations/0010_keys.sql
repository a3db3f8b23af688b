-- A primary key on every table, so that each has a replica identity: a publication of all tables stops nothing, and a
-- deployment moves to another server by logical replication. It costs the hot path nothing, since each key takes the
-- place of an index that was there.

-- Retention walks over the table's blocks; nothing looks for names by their time.
drop index inbox_seen_at;
alter table inbox add constraint inbox_pkey primary key using index inbox_name;

-- The journal's months have their own: a key of the whole partitioned table would have to hold the time, too, which
-- makes each row's entry wider. Oldest first, so that the month that is written is locked last and shortest.
do $$
declare
    part regclass;
begin
    for part in
        select i.inhrelid::regclass from pg_inherits i join pg_class c on c.oid = i.inhrelid
        where i.inhparent = 'journal'::regclass order by c.relname <> 'journal_default', c.relname
    loop
        execute format('alter table %s add primary key (sequence)', part);
    end loop;
end $$;
drop index journal_sequence;

-- As before, and with a primary key.
create or replace function journal_partition_make(of_month date) returns boolean language plpgsql as $$
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
    execute format('alter table %I add primary key (sequence)', name);
    execute format('alter table journal attach partition %I for values from (%L) to (%L)', name, begins, ends);
    return true;
end $$;

-- Replacing a function drops its settings: it runs as its owner, with a fixed search_path.
do $$
declare
    home name := (select n.nspname from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where c.oid = 'journal'::regclass);
begin
    execute format(
        'alter function journal_partition_make(date) security definer set search_path to %I, pg_temp', home
    );
end $$;
