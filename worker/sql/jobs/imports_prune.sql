-- returns nothing; imports that ended before $1 are forgotten
delete from imports where ended_at < $1 and is_cleared
