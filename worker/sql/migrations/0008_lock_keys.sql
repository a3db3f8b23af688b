-- Keys of advisory locks: PostgreSQL keeps those for a database, not for a schema, so a key holds the schema. The schema
-- public has the keys that versions before this one use everywhere.

create function lock_space() returns integer language sql stable parallel safe
return case current_schema()
    when 'public' then 0
    else quote_ident(current_schema())::regnamespace::oid::bigint::bit(32)::integer
end;

-- The key of a transaction's lock.
create function lock_key(number integer) returns bigint language sql stable parallel safe
return (lock_space()::bigint << 32) + number;

-- The first half of the keys of leaders' locks; the second is the role's number.
create function role_space() returns integer language sql stable parallel safe
return case lock_space() when 0 then 7361 else lock_space() end;
