-- returns failures (in a row) of the month's report
select failures from reports where month = $1
