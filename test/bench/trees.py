"""The speed table of the tree methods, beside XGBoost and scikit-learn.  Called by test/bench/bench, whose table it reads.

Every time is a wall time, the minimum of RUNS runs that alternate with those it is compared to; behind it stands the
ratio of processor times, which says more on a machine that others use, too.  ml_train does all it does by default: reads the
table, holds a fifth of the rows out, trains on the others, measures; above 50,000 rows it stores that model.  So there are
lines for all rows (holdout => 0) besides, which is what XGBoost does; its rows lie in memory already, its DMatrix is counted.
Memory is what pages of its own a backend has at its peak above idle, and the same of the process that runs XGBoost.
"""
import io
import multiprocessing
import os
import re
import subprocess
import sys
import threading
import time

import numpy
import psycopg2

ROWS = int(os.environ.get("ROWS", 1000000))
RUNS = min(int(os.environ.get("RUNS", 5)), int(os.environ.get("TREE_RUNS", 3)))
TREES = int(os.environ.get("TREES", 100))
FOREST_ROWS = min(100000, ROWS)
NAMES = [f"x{j}" for j in range(1, 21)]
COLUMNS = ",".join(NAMES)


# ---- measuring ----

class Cost:
    """Wall and processor seconds, and MB above those at the start."""

    def __init__(self, pid):
        self.pid = pid

    def cpu(self):
        fields = open(f"/proc/{self.pid}/stat").read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def anon(self):
        return int(re.search(r"RssAnon:\s*(\d+)", open(f"/proc/{self.pid}/status").read()).group(1)) / 1024

    def watch(self):
        while not self.over:
            self.peak = max(self.peak, self.anon())
            time.sleep(0.01)

    def __enter__(self):
        self.over, self.base = False, self.anon()
        self.peak = self.base
        self.watcher = threading.Thread(target=self.watch)
        self.watcher.start()
        self.cpu0, self.wall0 = self.cpu(), time.perf_counter()
        return self

    def __exit__(self, *error):
        self.wall = time.perf_counter() - self.wall0
        self.cpu = self.cpu() - self.cpu0
        self.over = True
        self.watcher.join()
        self.mb = self.peak - self.base


class Session:
    def __init__(self, **settings):
        self.connection = psycopg2.connect("")
        self.connection.autocommit = True
        self.cursor = self.connection.cursor()
        self.pid = self.value("SELECT pg_backend_pid()")
        for name, value in {"max_parallel_workers_per_gather": 0, **settings}.items():
            self.cursor.execute(f"SET {name.replace('__', '.')} = '{value}'")
        self.value("SELECT count(*) FROM ml.algorithms")

    def value(self, statement):
        self.cursor.execute(statement)
        return self.cursor.fetchone()[0]

    def cost(self, statement):
        with Cost(self.pid) as cost:
            self.value(statement)
        return cost


def best(works):
    """The least cost of each of a dictionary of functions, which run by turns."""
    least = {}
    for _ in range(RUNS):
        for name, work in works.items():
            cost = work()
            if name not in least:
                least[name] = cost
            for field in "wall", "cpu", "mb":
                setattr(least[name], field, min(getattr(least[name], field), getattr(cost, field)))
    return least


def row(work, figure, reference, bar, unit, note=""):
    ratio = figure / reference
    print(f"{work:<58} {figure:9.2f} {unit:<3} {reference:9.2f} {unit:<3} {ratio:7.2f} {bar:6.2f}  "
          f"{'met' if ratio <= bar else 'MISSED'}{note}", flush=True)


def race_row(work, one, other, bar):
    row(work, one.wall, other.wall, bar, "s", f"  (processor {one.cpu:.2f} : {other.cpu:.2f} s, {one.cpu / other.cpu:.2f})")


# ---- XGBoost, in a process of its own ----

def xgboost_process(pipe):
    import xgboost

    base = Cost(os.getpid()).anon()
    data = numpy.load(pipe.recv())
    x, y = data[:, :20].copy(), data[:, 20].copy()
    del data
    held = Cost(os.getpid()).anon() - base
    booster = None
    while True:
        what = pipe.recv()
        if what == "end":
            return
        with Cost(os.getpid()) as cost:
            if what == "train":
                matrix = xgboost.DMatrix(x, label=y, nthread=1)
                booster = xgboost.train({"objective": "binary:logistic", "tree_method": "hist", "max_depth": 6,
                                         "max_bin": 256, "eta": 0.3, "nthread": 1}, matrix, TREES)
            else:
                matrix = xgboost.DMatrix(x, nthread=1)
                booster.predict(matrix)
        del matrix
        cost.mb += held
        pipe.send((cost.wall, cost.cpu, cost.mb))


class Peer:
    """Costs of what the process does, as Session.cost gives them."""

    def __init__(self, path):
        self.pipe, end = multiprocessing.Pipe()
        self.process = multiprocessing.Process(target=xgboost_process, args=(end,))
        self.process.start()
        self.pipe.send(path)

    def cost(self, what):
        self.pipe.send(what)
        cost = Cost(self.process.pid)
        cost.wall, cost.cpu, cost.mb = self.pipe.recv()
        return cost

    def end(self):
        self.pipe.send("end")
        self.process.join()


def fetch():
    """The table as doubles, x1 to x20 and c."""
    buffer = io.BytesIO()
    psycopg2.connect("").cursor().copy_expert(
        f"COPY (SELECT {COLUMNS}, c::int::float8 FROM t) TO STDOUT (FORMAT binary)", buffer)
    tuples = numpy.frombuffer(buffer.getbuffer()[19:-2], numpy.uint8).reshape(-1, 2 + 12 * 21)
    return tuples[:, 2:].reshape(-1, 21, 12)[:, :, 4:].copy().view(">f8")[:, :, 0].astype("f8")


# ---- the lines ----

def train(model, source="t", params="{}", algorithm="gradient_boosting", holdout=0.2):
    return (f"SELECT (ml_train('{model}', '{source}', 'c', algorithm => '{algorithm}', features => '{{{COLUMNS}}}', "
            f"params => '{params}', holdout => {holdout})).elapsed")


ROUNDS = f'{{"n_estimators": {TREES}, "max_depth": 6, "max_bin": 256}}'


def boosting(peer):
    small, large = Session(maintenance_work_mem="64MB"), Session(maintenance_work_mem="1GB")
    two = Session(maintenance_work_mem="1GB", ml__threads=2)
    works = {
        "default": lambda: small.cost(train("gb", params=ROUNDS)),
        "all": lambda: small.cost(train("gb", params=ROUNDS, holdout=0)),
        "large": lambda: large.cost(train("gb", params=ROUNDS, holdout=0)),
        "two": lambda: two.cost(train("gb", params=ROUNDS, holdout=0)),
    }
    if peer:
        works["peer"] = lambda: peer.cost("train")
    least = best(works)
    bound = (1.5 * ROWS * 20 + 24 * ROWS) / 1048576
    if peer:
        race_row("gradient_boosting, defaults, 64 MB : XGBoost hist", least["default"], least["peer"], 0.6)
        race_row("gradient_boosting, all rows, 64 MB : XGBoost hist", least["all"], least["peer"], 0.6)
        race_row("gradient_boosting, all rows, 1 GB : XGBoost hist", least["large"], least["peer"], 0.6)
    race_row("gradient_boosting, ml.threads = 2 : 1", least["two"], least["large"], 0.6)
    for name, memory in ("all", "64 MB"), ("large", "1 GB"):
        row(f"memory of it, {memory} : 1.5 a value + 24 a row", least[name].mb, bound, 1, "MB")
        if peer:
            row(f"memory of it, {memory} : XGBoost's process", least[name].mb, least["peer"].mb, 0.25, "MB")


def prediction(peer):
    session = Session()
    works = {"sql": lambda: session.cost("SELECT sum(ml_predict('gb', t)) FROM t")}
    if peer:
        works["peer"] = lambda: peer.cost("predict")
        least = best(works)
        race_row("sum(ml_predict('gb', t)) : XGBoost, DMatrix and predict", least["sql"], least["peer"], 1)


def latency(model):
    """Microseconds of a prepared statement that predicts one row."""
    script = f"\\set id random(1, {ROWS})\nSELECT ml_predict('{model}', t) FROM t WHERE id = :id;\n"
    out = subprocess.run(["pgbench", "-n", "-M", "prepared", "-T", "3", "-f", "-"], input=script, text=True,
                         capture_output=True, check=True).stdout
    return 1000 * float(re.search(r"latency average = ([0-9.]+) ms", out).group(1))


def one_row():
    runs = [(latency("m"), latency("gb")) for _ in range(3)]
    linear, boosted = (min(run[k] for run in runs) for k in (0, 1))
    row("one prediction, prepared : the linear model's + 5 us", boosted, linear + 5, 1, "us")


def first_prediction():
    Session(maintenance_work_mem="1GB").cost(
        train("many", f"SELECT * FROM t WHERE id <= {FOREST_ROWS}", '{"n_estimators": 500}'))
    times = []
    for _ in range(30):
        connection = psycopg2.connect("")
        cursor = connection.cursor()
        start = time.perf_counter()
        cursor.execute("SELECT ml_predict('many', t) FROM t WHERE id = 1")
        cursor.fetchone()
        times.append(1000 * (time.perf_counter() - start))
        connection.close()
    row("first prediction of 500 trees in a new session : 5 ms", min(times), 5, 1, "ms")


def forest(x, y):
    from sklearn.ensemble import RandomForestClassifier

    session = Session(maintenance_work_mem="1GB")
    source = f"SELECT * FROM t WHERE id <= {FOREST_ROWS}"
    params = f'{{"n_estimators": {TREES}}}'

    def peer():
        with Cost(os.getpid()) as cost:
            RandomForestClassifier(TREES, n_jobs=1, random_state=1).fit(x, y)
        return cost

    least = best({"sql": lambda: session.cost(train("rf", source, params, "random_forest", 0)), "peer": peer})
    race_row(f"random_forest, {FOREST_ROWS // 1000}k rows : scikit-learn", least["sql"], least["peer"], 0.5)


def growth():
    """Ten times as many rows, in memory and in a temporary file."""
    names = ",".join(f"{name} + i * 1e-9 AS {name}" for name in NAMES)
    for memory in "64MB", "1GB":
        session = Session(maintenance_work_mem=memory)
        one, ten = (session.cost(train("gb", f"SELECT {names}, c FROM t, generate_series(1, {n}) i", ROUNDS, holdout=0))
                    for n in (1, 10))
        race_row(f"10 times the rows, {memory} : once", ten, one, 11)


def main():
    print(f"\ntrees: {ROWS} x 20, {TREES} rounds, depth 6, 256 bins, minimum of {RUNS} runs")
    try:
        import sklearn
        import xgboost
        peers = True
    except ImportError as error:
        print(f"not compared with peers: {error}")
        peers = False
    wanted = os.environ.get("TREE_LINES", "boosting prediction one first forest growth").split()
    peer = None
    if peers:
        data = fetch()
        path = os.path.join(sys.argv[1], "rows.npy")
        numpy.save(path, data)
        x, y = data[:FOREST_ROWS, :20].astype("f4"), data[:FOREST_ROWS, 20].copy()
        del data
        if "boosting" in wanted or "prediction" in wanted:
            peer = Peer(path)
    if "boosting" in wanted:
        boosting(peer)
    if "prediction" in wanted:
        prediction(peer)
    if peer:
        peer.end()
    if "one" in wanted:
        one_row()
    if "first" in wanted:
        first_prediction()
    if "forest" in wanted and peers:
        forest(x, y)
    if "growth" in wanted:
        growth()


if __name__ == "__main__":
    main()
