#!/usr/bin/python3
"""Do the 95 % intervals of ml_compare's differences cover?  Needs a server with the extension (PGHOST, PGPORT, ...).

    python3 test/witness/paired.py [rows [runs]]

A population of runs x rows rows is cut into slices, each compared by itself; an interval should hold the
difference over the whole population, whose own error is small beside it.  Beside it the standard error of the
first slice by a bootstrap of its rows, with scikit-learn's metrics, over ml_compare's.

The rows come from random().  A hash of their number would not do: the values of numbers that follow each other
are less unlike than chance has them (the means of slices vary up to 1.9 times as much), which no interval can know.
"""
import math
import subprocess
import sys

import numpy as np
from sklearn import metrics as sk

ROWS = int(sys.argv[1]) if len(sys.argv) > 1 else 500
RUNS = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
DATABASE = "ml_witness_paired"


def psql(sql, database=DATABASE):
    out = subprocess.run(["psql", "-X", "-q", "-A", "-t", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-d", database], input=sql,
                         capture_output=True, text=True)
    if out.returncode != 0:
        sys.exit(out.stderr)
    return [line.split("\t") for line in out.stdout.splitlines() if line]



def averaged(function):
    return lambda y, c, p: function(y, c, average="macro", zero_division=0)


VALUES = {
    "rmse": lambda y, p: math.sqrt(sk.mean_squared_error(y, p)), "mse": sk.mean_squared_error, "mae": sk.mean_absolute_error,
    "r2": sk.r2_score, "explained_variance": sk.explained_variance_score, "mape": sk.mean_absolute_percentage_error,
    "wape": lambda y, p: np.abs(y - p).sum() / np.abs(y).sum(),
    "smape": lambda y, p: np.mean(2 * np.abs(y - p) / (np.abs(y) + np.abs(p))),
}
TWO = {
    "auc": lambda y, c, p: sk.roc_auc_score(y, p), "pr_auc": lambda y, c, p: sk.average_precision_score(y, p),
    "log_loss": lambda y, c, p: sk.log_loss(y, p), "brier": lambda y, c, p: sk.brier_score_loss(y, p),
    "accuracy": lambda y, c, p: sk.accuracy_score(y, c), "balanced_accuracy": lambda y, c, p: sk.balanced_accuracy_score(y, c),
    "precision": lambda y, c, p: sk.precision_score(y, c, zero_division=0), "recall": lambda y, c, p: sk.recall_score(y, c),
    "f1": lambda y, c, p: sk.f1_score(y, c), "mcc": lambda y, c, p: sk.matthews_corrcoef(y, c),
    "kappa": lambda y, c, p: sk.cohen_kappa_score(y, c),
}
MANY = {
    "accuracy": TWO["accuracy"], "balanced_accuracy": TWO["balanced_accuracy"], "mcc": TWO["mcc"], "kappa": TWO["kappa"],
    "precision": averaged(sk.precision_score), "recall": averaged(sk.recall_score), "f1": averaged(sk.f1_score),
}


def bootstrap(kind, functions):
    """Standard errors of the differences on slice 0."""
    if kind == "value":
        rows = psql(f"SELECT v, ml_predict('value@2', p), ml_predict('value@1', p) FROM population p WHERE id < {ROWS} ORDER BY id")
        y, b, a = (np.array([float(r[i]) for r in rows]) for i in range(3))
        measure = lambda f, i: f(y[i], a[i]) - f(y[i], b[i])
    else:
        score = f"ml_predict('{kind}@%d', p)" if kind == "two" else "0"
        rows = psql(f"SELECT {kind}, ml_classify('{kind}@2', p), {score.replace('%d', '2')}, ml_classify('{kind}@1', p), "
                    f"{score.replace('%d', '1')} FROM population p WHERE id < {ROWS} ORDER BY id")
        y, cb, ca = (np.array([r[i] == "t" if kind == "two" else r[i] for r in rows]) for i in (0, 1, 3))
        if kind == "two":
            cb, ca = (np.array([r[i] in ("t", "true") for r in rows]) for i in (1, 3))
        pb, pa = (np.array([float(r[i]) for r in rows]) for i in (2, 4))
        measure = lambda f, i: f(y[i], ca[i], pa[i]) - f(y[i], cb[i], pb[i])
    rng = np.random.default_rng(1)
    draws = [rng.integers(0, len(y), len(y)) for _ in range(400)]
    return {name: np.std([measure(f, i) for i in draws], ddof=1) for name, f in functions.items()}


def main():
    subprocess.run(["dropdb", "--if-exists", DATABASE], check=True, stderr=subprocess.DEVNULL)
    subprocess.run(["createdb", DATABASE], check=True)
    psql(f"""
CREATE EXTENSION ml_ext;
CREATE FUNCTION normal() RETURNS float8 LANGUAGE sql VOLATILE AS $$ SELECT sqrt(-2 * ln(1 - random())) * cos(6.283185307179586 * random()) $$;
SELECT setseed(0.5);
CREATE FUNCTION made(first int, last int) RETURNS TABLE (id int, x1 float8, x2 float8, x3 float8, v float8, two boolean, many text) LANGUAGE sql VOLATILE AS $$
    SELECT i, a, b, c, 10 + 2 * a + b + 0.5 * c + exp(normal() / 2), a + b / 2 + normal() > 0.9,
        CASE WHEN a + normal() / 2 > 0.8 THEN 'high' WHEN b + normal() / 2 > 0 THEN 'middle' WHEN c > 1 THEN 'odd' ELSE 'low' END
    FROM (SELECT i, normal() AS a, normal() AS b, normal() AS c FROM generate_series(first, last) i OFFSET 0) s $$;
CREATE TABLE training AS SELECT * FROM made(-3000, -1);
CREATE TABLE population AS SELECT * FROM made(0, {ROWS * RUNS - 1});
ALTER TABLE population ADD PRIMARY KEY (id);
ANALYZE population;
SELECT ml_train('value', 'training', target => 'v', algorithm => 'linear', features => '{{x1,x2}}');
SELECT ml_train('value', 'training', target => 'v', algorithm => 'decision_tree', features => '{{x1,x2,x3}}', params => '{{"max_depth": 5}}');
SELECT ml_train('two', 'training', target => 'two', algorithm => 'logistic', features => '{{x1}}', params => '{{"l2": 1}}');
SELECT ml_train('two', 'training', target => 'two', algorithm => 'random_forest', features => '{{x1,x2,x3}}', params => '{{"n_estimators": 10, "max_depth": 5}}');
SELECT ml_train('many', 'training', target => 'many', algorithm => 'logistic', features => '{{x1,x2}}', params => '{{"l2": 1}}');
SELECT ml_train('many', 'training', target => 'many', algorithm => 'decision_tree', features => '{{x1,x2,x3}}', params => '{{"max_depth": 6}}');
""")
    worst = []
    for kind, functions in (("value", VALUES), ("two", TWO), ("many", MANY)):
        truth = {m: float(d) for m, d in psql(
            f"SET client_min_messages = error; SET maintenance_work_mem = '1GB'; SELECT metric, difference FROM ml_compare('{kind}@2', 'population', '{{1}}') WHERE version = 1 AND difference IS NOT NULL")}
        lines = psql(f"""SET client_min_messages = error;
SELECT metric, avg((difference_low <= t.d AND t.d <= difference_high)::int), count(difference_low), avg(difference_high - difference_low),
    min((difference_high - difference_low) / 3.919927969080108) FILTER (WHERE g = 0)
FROM generate_series(0, {RUNS - 1}) g, LATERAL ml_compare('{kind}@2', format('SELECT * FROM population WHERE id >= %s AND id < %s', g * {ROWS}, (g + 1) * {ROWS}), '{{1}}') c
    JOIN (VALUES {', '.join(f"('{m}', {d!r}::float8)" for m, d in truth.items())}) t (m, d) ON t.m = metric
WHERE version = 1 GROUP BY 1 ORDER BY 1""")
        errors = bootstrap(kind, functions)
        print(f"{kind}: {RUNS} runs of {ROWS} rows")
        for metric, share, n, width, error in lines:
            if share == "":
                print(f"  {metric:24} no interval")
                continue
            ratio = f"{float(error) / errors[metric]:.3f}" if metric in errors else ""
            print(f"  {metric:24} {100 * float(share):5.1f} % of {n} cover {truth[metric]:9.5f}, mean width {float(width):.5f}  of the bootstrap's error: {ratio}")
            worst.append(float(share))
    print(f"least {100 * min(worst):.1f} %, most {100 * max(worst):.1f} %")
    subprocess.run(["dropdb", DATABASE], check=True)


main()
