-- The main job on two real tables: diamonds (what is a stone worth?) and adult (who earns more than 50K?).
-- The tables diamonds_new and adult_new hold rows that the models never see.
CREATE EXTENSION ml_ext;

-- A number as target makes a regression; a fifth of the rows is kept back to measure it.
SELECT * FROM ml_train('price', 'diamonds', target => 'price') \gx
SELECT metric, round(value::numeric, 4) AS value, round(baseline::numeric, 4) AS baseline
FROM ml_evaluate('price', 'diamonds_new');

-- Raw rows in, numbers out: in any query, and in views.
SELECT d.carat, d.cut, d.color, d.clarity, d.price, round(ml_predict('price', d)) AS predicted
FROM diamonds_new d WHERE carat >= 1 LIMIT 5;

-- A text as target makes a classification.
SELECT * FROM ml_train('income', 'adult', target => 'income') \gx
SELECT metric, round(value::numeric, 4) AS value, round(baseline::numeric, 4) AS baseline
FROM ml_evaluate('income', 'adult_new');
SELECT a.age, a.education, a.occupation, a.income, ml_classify('income', a) AS predicted,
	round(ml_probability('income', a, '>50K')::numeric, 3) AS probability
FROM adult_new a LIMIT 5;
