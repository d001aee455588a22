# Run by 061_clients.pl: one line "ok what" or "not ok what" a check.
import json
import sys

import psycopg2
import psycopg2.extras


def check(good, what):
    print("ok" if good else "not ok", what)


here = psycopg2.connect(sys.argv[1])
there = psycopg2.connect(sys.argv[2])
cur = here.cursor()
rows = [(float(i), "kind %s" % (i % 3), 2.5 * i + i % 3) for i in range(1, 301)]
cur.execute("CREATE TABLE t (x float8, kind text, y float8)")
psycopg2.extras.execute_values(cur, "INSERT INTO t VALUES %s", rows)
here.commit()

# Arguments are parameters, also awkward ones.
name = "Bob's \"best\" \\ 价格"
cur.execute("SELECT version, algorithm FROM ml_train(%s, %s, target => %s, algorithm => %s, params => %s)",
            (name, "SELECT x, kind, y FROM t", "y", "ridge", json.dumps({"l2": 0.001})))
check(cur.fetchone() == (1, "ridge"), "trained with parameters")

cur.execute("PREPARE p(text, jsonb) AS SELECT ml_predict($1, $2)")
got = []
for x, kind, y in rows:
    cur.execute("EXECUTE p(%s, %s)", (name, psycopg2.extras.Json({"x": x, "kind": kind})))
    got.append(cur.fetchone()[0])
check(all(isinstance(p, float) and abs(p - r[2]) < 1 for p, r in zip(got, rows)), "prepared prediction gives floats near the target")
cur.execute("SELECT ml_predict(%s, t) FROM t ORDER BY x", (name,))
check([r[0] for r in cur.fetchall()] == got, "rows of the table give the same")

here.commit()
with here.cursor("streamed") as server_side:
    server_side.itersize = 50
    server_side.execute("SELECT ml_predict(%s, t) FROM t ORDER BY x", (name,))
    check([r[0] for r in server_side] == got, "a cursor of the server gives the same")

# A training that is rolled back has not been.
cur.execute("SELECT version FROM ml_train(%s, 't', target => 'y', algorithm => 'linear')", (name,))
second = cur.fetchone()[0]
here.rollback()
cur.execute("SELECT max(version) FROM ml.versions WHERE model = %s", (name,))
check((second, cur.fetchone()[0]) == (2, 1), "rolled back")

try:
    cur.execute("SELECT ml_predict(%s, '{}'::jsonb)", ("missing'; DROP TABLE t; --",))
    code = None
except psycopg2.Error as error:
    code = error.pgcode
here.rollback()
check(code == "42704", "an error has its SQLSTATE")

# To another database.
cur.execute("SELECT ml_export(%s, 'ml')", (name,))
document = cur.fetchone()[0]
here.commit()
other = there.cursor()
other.execute("SELECT version, algorithm FROM ml_import(%s, %s)", ("moved", document))
check(other.fetchone() == (1, "ridge"), "imported elsewhere")
other.execute("SELECT ml_predict('moved', jsonb_build_object('x', x, 'kind', kind)) FROM unnest(%s, %s) WITH ORDINALITY u(x, kind, i) ORDER BY i",
              ([r[0] for r in rows], [r[1] for r in rows]))
check([r[0] for r in other.fetchall()] == got, "and predicts the same to the last bit")
other.execute("SELECT lineage #>> '{imported,name}' FROM ml.version")
check(other.fetchone()[0] == name, "and knows where it comes from")
there.commit()
