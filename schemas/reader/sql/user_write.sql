-- returns nothing; what comes later in a partition of states is newer, else what has the higher sequence
insert into users (user_id, sequence, memberships, partition) values (?, ?, ?, ?)
on conflict (user_id) do update
set sequence = excluded.sequence, memberships = excluded.memberships, partition = excluded.partition
where excluded.sequence >= users.sequence or excluded.partition = users.partition
