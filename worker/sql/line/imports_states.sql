-- returns import and state of those imports that there are
select import, state::text from imports where import = any($1::text[])
