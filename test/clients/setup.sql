-- What the clients in this folder work with: a table, a model of it, a view of its predictions and a function.
-- Needs the table diamonds of test/data/load.sql.
CREATE TABLE stones AS
	SELECT row_number() OVER ()::int AS id, carat::float8, depth::float8, cut, price::numeric(10, 2) FROM diamonds LIMIT 2000;
SELECT version FROM ml_train('stone', 'stones', target => 'price', algorithm => 'ridge', exclude => '{id}');
SELECT ml_create_view('stone', 'priced_stones', 'stones');
SELECT ml_create_function('stone', 'price_of');
