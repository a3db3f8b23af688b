-- returns nothing; these commands are decided
delete from schedule where schedule_key = any($1::bigint[])
