-- returns nothing; the month's documents have these ids in the storage $2 from now on
insert into report_documents (month, storage, file_id, page_id) values ($1, $2, $3, $4)
on conflict (month, storage) do update set file_id = excluded.file_id, page_id = excluded.page_id
