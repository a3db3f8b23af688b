-- returns nothing; a user is forgotten, unless something newer is known
delete from users where user_id = ? and (sequence <= ? or partition = ?)
