-- returns nothing; these commands are decided, and those forgotten users among $2 (null: among all) for whom no other one waits
-- are not named any longer. Within the structure lock, which keeps users from being forgotten meanwhile
with decided as (
    delete from schedule where schedule_key = any($1::bigint[])
)
delete from schedule_forgotten f
where ($2::text[] is null or f.user_id = any($2::text[])) and (
    select s.schedule_key from schedule s
    where s.user_id = f.user_id and s.schedule_key <= f.last_schedule_key and s.schedule_key <> all($1::bigint[])
    limit 1
) is null
