-- returns nothing; so many rows ($3) of how many ($4) are written in this attempt
update report_attempts set rows = $3, rows_total = $4 where month = $1 and attempt = $2
