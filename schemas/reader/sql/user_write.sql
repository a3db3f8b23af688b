-- returns nothing; a state replaces one that is not newer
insert into users (user_id, sequence, memberships) values (?, ?, ?)
on conflict (user_id) do update set sequence = excluded.sequence, memberships = excluded.memberships
where excluded.sequence >= users.sequence
