-- returns nothing
update progress set read_at = ?
