-- The worker's role needs no ownership: the two functions of retention that make and drop tables run as their owner, the
-- role that migrates, with a fixed search_path.
do $$
declare
    home name := (select n.nspname from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where c.oid = 'journal'::regclass);
    made regprocedure;
begin
    foreach made in array array['journal_partition_make(date)', 'journal_partitions_drop(timestamptz)']::regprocedure[] loop
        execute format('alter function %s security definer set search_path to %I, pg_temp', made, home);
        execute format('revoke execute on function %s from public', made);
    end loop;
end $$;

-- Who was given the tables by deploy/roles.sql can't rewrite the journal, nor the schema's version.
do $$
declare
    given record;
begin
    for given in
        select distinct a.grantee::regrole as grantee, c.oid::regclass as of_table,
            case when c.relname = 'alembic_version' then 'insert, update, delete' else 'update, delete' end as rights
        from pg_class c cross join aclexplode(c.relacl) a
        where c.oid in ('alembic_version'::regclass, 'journal'::regclass, 'journal_default'::regclass)
            and a.grantee not in (0, c.relowner)
    loop
        execute format('revoke %s on %s from %s', given.rights, given.of_table, given.grantee);
    end loop;
end $$;
