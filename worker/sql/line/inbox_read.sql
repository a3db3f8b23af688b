-- returns of the names $1, as far as they are taken: the hash of what the command says, the code if it was refused
select name, content, code from inbox where name = any($1::uuid[])
