-- The two roles of a deployment, for PostgreSQL 16 or newer: the one that owns the schema and runs `segmentation migrate`,
-- and the one that everything else runs as, which may read and write rows and nothing more. docs/security.md explains it.
--
-- Run it in the deployment's database, as a superuser or as a role that may create roles and owns the database:
--
--     psql -d segmentation -f deploy/roles.sql
--
-- Change the three names below if you like. It may be run again, also on a deployment that is there already: `owner` is then
-- the role that owns its tables, and `home` their schema. Then give both roles a password, by `\password` in psql, and run
-- `segmentation migrate` as the owner. Later migrations need no further grants.

do $$
declare
    owner name := 'segmentation_owner';
    worker name := 'segmentation_worker';
    home name := 'segmentation';
    role name;
begin
    foreach role in array array[owner, worker] loop
        if not exists (select from pg_roles where rolname = role) then
            execute format('create role %I login', role);
        end if;
    end loop;
    if not (select rolsuper from pg_roles where rolname = current_user) and owner <> current_user then
        execute format('grant %I to %I', owner, current_user);
    end if;

    if not exists (select from pg_namespace where nspname = home) then
        execute format('create schema %I authorization %I', home, owner);
    end if;
    foreach role in array array[owner, worker] loop
        execute format('grant connect on database %I to %I', current_database(), role);
        execute format('alter role %I in database %I set search_path to %I', role, current_database(), home);
    end loop;
    execute format('grant usage, create on schema %I to %I', home, owner);
    execute format('grant usage on schema %I to %I', home, worker);

    -- what is there, and what later migrations will make
    execute format('grant select, insert, update, delete on all tables in schema %I to %I', home, worker);
    execute format('grant execute on all functions in schema %I to %I', home, worker);
    execute format('alter default privileges for role %I in schema %I grant select, insert, update, delete on tables to %I',
        owner, home, worker);
    execute format('alter default privileges for role %I in schema %I grant execute on functions to %I',
        owner, home, worker);

    -- the journal is only ever added to, and the schema's version is only read
    if to_regclass(format('%I.journal', home)) is not null then
        execute format('revoke update, delete on %I.journal, %I.journal_default from %I', home, home, worker);
        execute format('revoke insert, update, delete on %I.alembic_version from %I', home, worker);
    end if;
end $$;
