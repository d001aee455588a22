-- The tables of the corpus.
CREATE TABLE nulls (row_id int, x1 float8, x2 float8, all_null float8, colour text, y float8);
CREATE TABLE nan_inf (row_id int, x1 float8, x2 float8, y float8);
CREATE TABLE zero_rows (row_id int, x1 float8, colour text, y float8);
CREATE TABLE one_row (row_id int, x1 float8, colour text, y float8);
CREATE TABLE one_class (row_id int, x1 float8, y text);
CREATE TABLE constant_columns (row_id int, const_num float8, const_text text, x float8, y float8, const_y float8);
CREATE TABLE collinear (row_id int, x1 float8, x2 float8, x1_plus_x2 float8, two_x1 float8, x1_copy float8, y float8);
CREATE TABLE separation (row_id int, x1 float8, noise float8, y int);
CREATE TABLE quasi_separation (row_id int, level text, x float8, y int);
CREATE TABLE huge_magnitude (row_id int, x float8, y float8);
CREATE TABLE offset_1e9 (row_id int, x float8, y float8);
CREATE TABLE mixed_types (row_id int, x_text text, y float8);
CREATE TABLE duplicate_header (a int, b int, "A" int, y int);
CREATE TABLE unicode_categories (row_id int, cat text, y int);
CREATE TABLE many_categories (row_id int, id_text text, y float8);
CREATE TABLE long_text (row_id int, txt text, label int);
CREATE TABLE labels (row_id int, x float8, as_bool bool, as_yes_no text, as_float float8, as_1_2 int, as_pm1 int, with_null int, rare text);
CREATE TABLE timeseries (ts timestamp, series text, y float8);
CREATE TABLE unicode_names ("row_id" int, "größe" float8, "価格" float8, "two words" float8, "naïve" float8, "emoji😀" float8, "quote""inside" float8, "apos'trophe" float8, "semi;colon" float8, "select" float8, "UPPER" float8, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" float8, "y" float8);
SELECT format('CREATE TABLE wide_1600 (row_id int, %s, y int)', string_agg(format('f%s int', i), ', ' ORDER BY i)) FROM generate_series(1, 1598) i \gexec
\copy nulls FROM 'test/data/bad_input/nulls.csv' (FORMAT csv, HEADER)
\copy nan_inf FROM 'test/data/bad_input/nan_inf.csv' (FORMAT csv, HEADER)
\copy zero_rows FROM 'test/data/bad_input/zero_rows.csv' (FORMAT csv, HEADER)
\copy one_row FROM 'test/data/bad_input/one_row.csv' (FORMAT csv, HEADER)
\copy one_class FROM 'test/data/bad_input/one_class.csv' (FORMAT csv, HEADER)
\copy constant_columns FROM 'test/data/bad_input/constant_columns.csv' (FORMAT csv, HEADER)
\copy collinear FROM 'test/data/bad_input/collinear.csv' (FORMAT csv, HEADER)
\copy separation FROM 'test/data/bad_input/separation.csv' (FORMAT csv, HEADER)
\copy quasi_separation FROM 'test/data/bad_input/quasi_separation.csv' (FORMAT csv, HEADER)
\copy huge_magnitude FROM 'test/data/bad_input/huge_magnitude.csv' (FORMAT csv, HEADER)
\copy offset_1e9 FROM 'test/data/bad_input/offset_1e9.csv' (FORMAT csv, HEADER)
\copy mixed_types FROM 'test/data/bad_input/mixed_types.csv' (FORMAT csv, HEADER)
\copy duplicate_header FROM 'test/data/bad_input/duplicate_header.csv' (FORMAT csv, HEADER)
\copy many_categories FROM 'test/data/bad_input/many_categories.csv' (FORMAT csv, HEADER)
\copy long_text FROM 'test/data/bad_input/long_text.csv' (FORMAT csv, HEADER)
\copy labels FROM 'test/data/bad_input/labels.csv' (FORMAT csv, HEADER)
\copy timeseries FROM 'test/data/bad_input/timeseries.csv' (FORMAT csv, HEADER)
\copy unicode_names FROM 'test/data/bad_input/unicode_names.csv' (FORMAT csv, HEADER)
\copy wide_1600 FROM 'test/data/bad_input/wide_1600.csv' (FORMAT csv, HEADER)
\copy unicode_categories FROM 'test/data/bad_input/unicode_categories.csv' (FORMAT csv, HEADER, FORCE_NOT_NULL (cat))
