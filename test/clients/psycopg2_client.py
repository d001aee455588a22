# The job with psycopg2.  The connection is that of PGHOST, PGPORT, PGUSER, PGDATABASE and PGPASSWORD.
import json
import threading
import time

import psycopg2

con = psycopg2.connect("")
con.autocommit = True
cur = con.cursor()

cur.execute("SELECT version, algorithm, rows_used FROM ml_train(%s, %s, target => %s, algorithm => 'ridge', params => %s, exclude => %s)",
            ("stone", "stones", "price", json.dumps({"l2": 1}), ["id"]))
print("train", *cur.fetchone(), sep="\t")

# psycopg2 writes parameters into the text of the statement; a prepared one is prepared and executed by SQL.
cur.execute("PREPARE score(text, float8) AS SELECT id, ml_predict($1, s) FROM stones s WHERE carat >= $2 ORDER BY id")
for carat in (0.9, 1, 1.05, 1.1, 1.15, 1.2, 1.25):
    cur.execute("EXECUTE score(%s, %s)", ("stone", carat))
    for id, predicted in cur:
        print("score", carat, id, predicted, sep="\t")
cur.execute("SELECT price_of(%s, %s, %s)", (0.1 + 0.2, 61.5, None))
print("new", cur.fetchone()[0], sep="\t")

cur.execute("SELECT id, cut, price, prediction, price < prediction FROM priced_stones ORDER BY id LIMIT 3")
rows = cur.fetchall()
print("types", *(type(value).__name__ for value in rows[0]), sep="\t")
for row in rows:
    print("view", *row, sep="\t")

cur.execute("SELECT ml_metrics(price, prediction) FROM priced_stones")
metrics = cur.fetchone()[0]         # a dict
print("metrics", json.dumps(metrics), sep="\t")

try:
    cur.execute("SELECT ml_predict(%s, s) FROM stones s", ("missing",))
except psycopg2.Error as error:
    print("error", error.pgcode, error.diag.message_primary, sep="\t")


def cancel_when_it_runs():
    with psycopg2.connect("") as other, other.cursor() as progress:
        other.autocommit = True
        count = 0
        while count == 0:
            time.sleep(0.1)
            progress.execute("SELECT count(*) FROM ml.progress WHERE pid = %s", (con.info.backend_pid,))
            count, = progress.fetchone()
    con.cancel()


threading.Thread(target=cancel_when_it_runs).start()
try:
    cur.execute("SELECT version FROM ml_train('stone', %s, target => 'y', algorithm => 'linear')",
                ("SELECT sin(i) AS x, i AS y FROM (SELECT generate_series(1, 1000000000) AS i) s",))
except psycopg2.Error as error:
    print("cancel", error.pgcode, error.diag.message_primary, sep="\t")
