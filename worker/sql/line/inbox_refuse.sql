-- returns nothing; notes that the commands of names $1, which this transaction has taken, were refused with code $2
update inbox set code = $2 where name = any($1::uuid[])
