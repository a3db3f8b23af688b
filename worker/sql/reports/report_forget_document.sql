-- returns nothing; the month's document $2 is out of reach: the next attempt makes a new one
update report_documents set file_id = nullif(file_id, $2), page_id = nullif(page_id, $2) where month = $1
