-- returns nothing; before the snapshot is taken: no month of the journal is dropped until the transaction's end
lock table journal in access share mode
