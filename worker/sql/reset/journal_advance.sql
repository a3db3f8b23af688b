-- returns sequence of the last number given out, which is $1 or more from now on
update journal_head set sequence = greatest(sequence, $1) returning sequence
