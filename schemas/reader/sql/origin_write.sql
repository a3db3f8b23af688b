-- returns nothing
insert into origins (origin_key, origin) values (?, ?)
