# The job with psycopg 3.  The connection is that of PGHOST, PGPORT, PGUSER, PGDATABASE and PGPASSWORD.
import json
import threading
import time

import psycopg
from psycopg.types.json import Jsonb

con = psycopg.connect("", autocommit=True)

row = con.execute("SELECT version, algorithm, rows_used FROM ml_train(%s, %s, target => %s, algorithm => 'ridge', params => %s, exclude => %s)",
                  ("stone", "stones", "price", Jsonb({"l2": 1}), ["id"])).fetchone()
print("train", *row, sep="\t")

# Parameters go beside the statement; prepare=True prepares it at once, binary=True gets the bytes of float8.
for carat in (0.9, 1.0, 1.05, 1.1, 1.15, 1.2, 1.25):
    for id, predicted in con.execute("SELECT id, ml_predict(%s, s) FROM stones s WHERE carat >= %s ORDER BY id",
                                     ("stone", carat), prepare=True, binary=True):
        print("score", carat, id, predicted, sep="\t")
predicted, = con.execute("SELECT price_of(%s, %s, %s)", (0.1 + 0.2, 61.5, None)).fetchone()
print("new", predicted, sep="\t")

rows = con.execute("SELECT id, cut, price, prediction, price < prediction FROM priced_stones ORDER BY id LIMIT 3").fetchall()
print("types", *(type(value).__name__ for value in rows[0]), sep="\t")
for row in rows:
    print("view", *row, sep="\t")

metrics, = con.execute("SELECT ml_metrics(price, prediction) FROM priced_stones").fetchone()        # a dict
print("metrics", json.dumps(metrics), sep="\t")

try:
    con.execute("SELECT ml_predict(%s, s) FROM stones s", ("missing",))
except psycopg.Error as error:
    print("error", error.sqlstate, error.diag.message_primary, sep="\t")


def cancel_when_it_runs():
    with psycopg.connect("", autocommit=True) as other:
        count = 0
        while count == 0:
            time.sleep(0.1)
            count, = other.execute("SELECT count(*) FROM ml.progress WHERE pid = %s", (con.info.backend_pid,)).fetchone()
    con.cancel()


threading.Thread(target=cancel_when_it_runs).start()
try:
    con.execute("SELECT version FROM ml_train('stone', %s, target => 'y', algorithm => 'linear')",
                ("SELECT sin(i) AS x, i AS y FROM (SELECT generate_series(1, 1000000000) AS i) s",))
except psycopg.Error as error:
    print("cancel", error.sqlstate, error.diag.message_primary, sep="\t")
