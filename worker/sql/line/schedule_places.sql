-- returns name, topic and record_key of those commands of names $1 that wait
select name, topic, record_key from schedule where name = any($1::uuid[])
