-- returns sequence, memberships and partition of the user, no row for one that is not known
select sequence, memberships, partition from users where user_id = ?
