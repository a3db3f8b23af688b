-- returns nothing; the store's tables. Users are found by an index, so that new ones are appended: four times as fast to
-- fill as a table in the order of ids, which come in none
create table users (
    user_key integer primary key,
    user_id text not null unique,
    sequence integer not null,
    partition integer not null,
    memberships blob not null
);
create table segments (segment_key integer primary key, segment_id text not null, segment text not null);
create table origins (origin_key integer primary key, origin text not null);
create table positions (
    topic text not null,
    partition integer not null,
    next_offset integer not null,
    last_offset integer not null,
    fingerprint blob not null,
    sequence integer not null,
    primary key (topic, partition)
) without rowid;
create table progress (read_at integer not null);
insert into progress values (0);
