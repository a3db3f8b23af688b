-- returns version, version_number and is_read_only of the server
select current_setting('server_version') as version, current_setting('server_version_num')::integer as version_number,
    pg_is_in_recovery() as is_read_only
