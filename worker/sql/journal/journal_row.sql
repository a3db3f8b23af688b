-- returns sequence, time, type and command_id of the journal's row with number $1, if it is there
select sequence, time, type::text, command_id from journal where sequence = $1
