-- returns nothing; the store is as a new one, but for the names
begin;
delete from users;
delete from positions;
update progress set read_at = 0;
commit
