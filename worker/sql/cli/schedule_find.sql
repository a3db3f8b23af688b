-- returns command_id, command_source, topic and record_key of the commands of id $1 and source $2 (null: any) that are yet to
-- take effect
select command_id, command_source, topic, record_key from schedule
where command_id = $1 and ($2::text is null or command_source = $2)
