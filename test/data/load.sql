-- The tables of the documentation's examples; run by psql from the top of the checkout.
-- Every tenth row of diamonds, and the official test part of adult, wait in a table of their own.
\set ON_ERROR_STOP on
CREATE TEMP TABLE d (row_id int, carat float8, cut text, color text, clarity text, depth float8,
	"table" float8, price int, x float8, y float8, z float8);
\copy d FROM PROGRAM 'gzip -dc test/data/diamonds.csv.gz' (FORMAT csv, HEADER)
CREATE TABLE diamonds AS
	SELECT carat, cut, color, clarity, depth, "table", price, x, y, z FROM d WHERE row_id % 10 <> 0 ORDER BY row_id;
CREATE TABLE diamonds_new AS
	SELECT carat, cut, color, clarity, depth, "table", price, x, y, z FROM d WHERE row_id % 10 = 0 ORDER BY row_id;

CREATE TEMP TABLE a (row_id int, age int, workclass text, fnlwgt int, education text, education_num int,
	marital_status text, occupation text, relationship text, race text, sex text, capital_gain int,
	capital_loss int, hours_per_week int, native_country text, income text, official_split text);
\copy a FROM PROGRAM 'gzip -dc test/data/adult.csv.gz' (FORMAT csv, HEADER)
CREATE TABLE adult AS SELECT * FROM a WHERE official_split = 'train' ORDER BY row_id;
CREATE TABLE adult_new AS SELECT * FROM a WHERE official_split = 'test' ORDER BY row_id;
ALTER TABLE adult DROP row_id, DROP official_split;
ALTER TABLE adult_new DROP row_id, DROP official_split;

CREATE TABLE mtcars (row_id int, model text, mpg float8, cyl int, disp float8, hp int, drat float8, wt float8,
	qsec float8, vs int, am int, gear int, carb int);
\copy mtcars FROM 'test/data/mtcars.csv' (FORMAT csv, HEADER)
ALTER TABLE mtcars DROP row_id;

CREATE TABLE iris (row_id int, sepal_length float8, sepal_width float8, petal_length float8, petal_width float8,
	species text);
\copy iris FROM 'test/data/iris.csv' (FORMAT csv, HEADER)
ALTER TABLE iris DROP row_id;

CREATE TABLE longley (row_id int, y float8, x1 float8, x2 float8, x3 float8, x4 float8, x5 float8, x6 float8);
\copy longley FROM 'test/data/longley.csv' (FORMAT csv, HEADER)
ALTER TABLE longley DROP row_id;

CREATE TABLE warpbreaks (row_id int, breaks int, wool text, tension text);
\copy warpbreaks FROM 'test/data/warpbreaks.csv' (FORMAT csv, HEADER)
ALTER TABLE warpbreaks DROP row_id;
CREATE TABLE electricity (row_id int, period float8, nswprice float8, nswdemand float8, vicprice float8,
	vicdemand float8, transfer float8, price_up int);
\copy electricity FROM PROGRAM 'gzip -dc test/data/electricity.csv.gz' (FORMAT csv, HEADER)

DROP TABLE d, a;
ANALYZE;
