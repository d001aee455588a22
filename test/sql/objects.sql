-- Everything that the extension makes: what is added or taken away shows here.
\dx+ ml_ext
-- What a function may do where: strict, volatility, parallel safety.
SELECT provolatile AS volatile, proparallel AS parallel, count(*), bool_and(d.description IS NOT NULL) AS described
FROM pg_depend e JOIN pg_proc p ON p.oid = e.objid LEFT JOIN pg_description d ON d.objoid = p.oid AND d.classoid = 'pg_proc'::regclass
WHERE e.deptype = 'e' AND e.classid = 'pg_proc'::regclass AND e.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'ml_ext')
GROUP BY 1, 2 ORDER BY 1, 2;
