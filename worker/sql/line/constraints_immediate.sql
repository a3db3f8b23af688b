-- returns nothing; constraints that wait for COMMIT are judged now, and from now on at once in this transaction
set constraints all immediate
