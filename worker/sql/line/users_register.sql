-- returns user_id and entered (segment keys) of the users that were not known and fall into rollouts
select user_id, entered from register_users($1::text[], $2) where entered is not null
