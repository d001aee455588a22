-- Everything that the extension makes: what is added or taken away shows here.
-- Types that come with a table or another type are left out: from 17 on they belong to the extension, too.
SELECT pg_describe_object(e.classid, e.objid, 0) AS object
FROM pg_depend e LEFT JOIN pg_type t ON e.classid = 'pg_type'::regclass AND t.oid = e.objid LEFT JOIN pg_class c ON c.oid = t.typrelid
WHERE e.deptype = 'e' AND e.refclassid = 'pg_extension'::regclass AND e.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'ml_ext')
	AND coalesce(t.typcategory, '') <> 'A' AND coalesce(c.relkind, 'c') = 'c'
ORDER BY 1;
-- What a function may do where: strict, volatility, parallel safety.
SELECT provolatile AS volatile, proparallel AS parallel, count(*), bool_and(d.description IS NOT NULL) AS described
FROM pg_depend e JOIN pg_proc p ON p.oid = e.objid LEFT JOIN pg_description d ON d.objoid = p.oid AND d.classoid = 'pg_proc'::regclass
WHERE e.deptype = 'e' AND e.classid = 'pg_proc'::regclass AND e.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'ml_ext')
GROUP BY 1, 2 ORDER BY 1, 2;
