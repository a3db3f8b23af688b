-- returns missing: a right that this role lacks, of those that a worker needs on the objects $1 (deploy/roles.sql)
with home as (
    select c.relnamespace as schema_oid, c.relowner as owner from pg_class c where c.oid = to_regclass('journal')
)
select format('usage on schema %I', n.nspname) as missing
from unnest(string_to_array(current_setting('search_path'), ',')) as path (entry)
join pg_namespace n
    on n.nspname = case trim(path.entry) when '"$user"' then current_user else trim(path.entry, ' "') end
where not has_schema_privilege(n.oid, 'usage')
union all
select format('%s on table %s', string_agg(x.privilege, ', ' order by x.place), c.relname)
from home
join pg_class c on c.relnamespace = home.schema_oid and c.relowner = home.owner and c.relname = any ($1::text[])
cross join unnest(array['select', 'insert', 'update', 'delete']) with ordinality as x (privilege, place)
where c.relkind in ('r', 'p', 'v')
    and not (x.privilege <> 'select' and (c.relkind = 'v' or c.relname in ('alembic_version', 'journal_default')))
    and not (x.privilege in ('update', 'delete') and c.relname = 'journal')
    and not has_table_privilege(c.oid, x.privilege)
group by c.relname
union all
select format('execute on function %s', p.oid::regprocedure)
from home
join pg_proc p on p.pronamespace = home.schema_oid and p.proowner = home.owner and p.proname = any ($1::text[])
where not has_function_privilege(p.oid, 'execute')
order by missing
