-- returns one row: waiting, how many commands are yet to take effect
select count(*) as waiting from schedule
