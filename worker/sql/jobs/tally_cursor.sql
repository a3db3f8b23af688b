-- returns sequence and time of the last journal row that was counted (null: none was yet), locked until the transaction ends
select sequence, time from tally for update
