-- returns version, version_number, is_read_only, role, is_owner (of the schema), is_durable (no write is lost), and of
-- the role, the database and the server: how many sessions they allow (null: any number) and how many others have taken
select
    current_setting('server_version') as version,
    current_setting('server_version_num')::integer as version_number,
    pg_is_in_recovery() as is_read_only,
    current_user as role,
    coalesce(
        (select pg_has_role(c.relowner, 'usage') from pg_class c where c.oid = to_regclass('journal')), false
    ) as is_owner,
    (select nullif(r.rolconnlimit, -1) from pg_roles r where r.rolname = session_user and not r.rolsuper) as role_limit,
    (select nullif(d.datconnlimit, -1) from pg_database d where d.datname = current_database()) as database_limit,
    current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer
        - coalesce(current_setting('reserved_connections', true)::integer, 0) as server_limit,
    (select count(*) from pg_stat_activity a where a.usename = session_user and a.pid <> pg_backend_pid())
        as role_taken,
    (select d.numbackends - 1 from pg_stat_database d where d.datname = current_database()) as database_taken,
    (select sum(d.numbackends)::integer - 1 from pg_stat_database d where d.datid <> 0) as server_taken,
    current_setting('fsync') = 'on' and current_setting('full_page_writes') = 'on' as is_durable
