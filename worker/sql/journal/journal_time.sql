-- returns time of the journal's row of the number $1; no row: there is none. The number is a parameter, not read here:
-- a statement without parameters keeps the plan that was made when it was first used, on a small journal
select time from journal where sequence = $1 limit 1
