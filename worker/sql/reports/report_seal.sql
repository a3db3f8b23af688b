-- returns time of the journal's head, $1 or later: whatever is journaled from now on is of a later month
update journal_head set time = greatest(time, $1) returning time
