-- returns sequence and memberships of the user, no row for one that is not known
select sequence, memberships from users where user_id = ?
