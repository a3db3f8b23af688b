-- returns pid, is_standby, is_read_only and encoding as they were, and how many settings ($1 names, $2 values) it made
-- a stronger synchronous_commit than "on" stays; settings that this server does not know are left out
select
    pg_backend_pid() as pid,
    pg_is_in_recovery() as is_standby,
    current_setting('default_transaction_read_only') = 'on' as is_read_only,
    current_setting('server_encoding') as encoding,
    (
        select count(set_config(wanted.name, wanted.value, false))
        from unnest($1::text[], $2::text[]) as wanted (name, value)
        where current_setting(wanted.name, true) is not null
            and (wanted.name <> 'synchronous_commit' or current_setting('synchronous_commit') <> 'remote_apply')
    ) as made
