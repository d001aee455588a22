"""What scikit-learn needs for the same work, as multiples of the serial sum of the columns."""
import io
import sys
import time

import numpy
import psycopg2
from sklearn.linear_model import ElasticNetCV, LinearRegression, LogisticRegression
from sklearn.metrics import roc_auc_score

reference, columns = float(sys.argv[1]), sys.argv[2]


def report(work, start):
    ms = (time.perf_counter() - start) * 1000
    print(f"{work:<58} {ms:9.2f} ms  {reference:9.2f} ms  {ms / reference:7.2f}")


start = time.perf_counter()
connection = psycopg2.connect("")
buffer = io.StringIO()
connection.cursor().copy_expert(f"COPY (SELECT {columns}, y, c::int FROM t) TO STDOUT (FORMAT csv)", buffer)
buffer.seek(0)
rows = numpy.loadtxt(buffer, delimiter=",")
report("scikit-learn: fetching the rows (COPY, numpy)", start)
x, y, c = numpy.ascontiguousarray(rows[:, :-2]), rows[:, -2], rows[:, -1]

start = time.perf_counter()
LinearRegression().fit(x, y)
report("scikit-learn: LinearRegression.fit alone", start)
start = time.perf_counter()
LogisticRegression(C=1e10, tol=1e-8, max_iter=1000).fit(x, c)
report("scikit-learn: LogisticRegression (lbfgs) .fit alone", start)
start = time.perf_counter()
ElasticNetCV(cv=10, n_alphas=100).fit(x, y)
report("scikit-learn: ElasticNetCV 10 x 100 .fit alone", start)
score = 1 / (1 + numpy.exp(x[:, 1] - x[:, 0]))
start = time.perf_counter()
roc_auc_score(c, score)
report("scikit-learn: roc_auc_score alone", start)
