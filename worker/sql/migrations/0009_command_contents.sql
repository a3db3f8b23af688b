-- What a name stands for: a hash of the command's type and data, so that a retry can be told from another command under
-- the same name; and the code of its rejection, where it was refused. Null: taken by a version that kept neither.
alter table inbox add column content bigint, add column code text;
