INSERT INTO o (c) SELECT CASE a WHEN 1 THEN 'x' WHEN 2 THEN d END FROM s x WHERE x.a <> 1e3 -- c
/* d */;