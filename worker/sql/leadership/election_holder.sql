-- returns pid, application_name and user_name of the backend that holds the lock of the role $1; no row: none does
select l.pid, a.application_name, a.usename as user_name
from pg_locks l
left join pg_stat_activity a on a.pid = l.pid
where l.locktype = 'advisory' and l.granted and l.objsubid = 2
    and l.database = (select oid from pg_database where datname = current_database())
    and l.classid = role_space()::oid and l.objid = $1::integer::oid
