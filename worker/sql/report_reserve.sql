-- returns nothing; the month's documents have these ids from now on
update reports set file_id = $2, page_id = $3 where month = $1
