"""XGBoost's margins on data with few distinct values: prints test/unit/boosting_xgboost.h.

The data come from a linear congruential generator that test/unit/boosting.c has too, so that both see the same rows.
"""
import numpy
import xgboost

ROWS, COLUMNS, EVERY = 600, 5, 25
state = 1


def uniform():
    global state
    state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
    return (state >> 11) * 2.0**-53


x = numpy.zeros((ROWS, COLUMNS))
noise = numpy.zeros(ROWS)
weight = numpy.zeros(ROWS)
for i in range(ROWS):
    for j in range(COLUMNS):
        x[i, j] = numpy.floor(uniform() * (4 + 5 * j))
        if j == 3 and uniform() < 0.1:
            x[i, j] = numpy.nan
    noise[i] = uniform()
    weight[i] = numpy.floor(uniform() * 8 + 1) / 4
filled = numpy.where(numpy.isnan(x[:, 3]), 30, x[:, 3])
signal = 1.7 * x[:, 0] - (x[:, 1] > 4) * 6 + x[:, 2] * x[:, 0] * 0.3 + (filled > 12) * 3 + noise * 4
real = signal
binary = (signal > 6.5) * 1.0
triple = numpy.floor(3 * (numpy.argsort(numpy.argsort(signal, kind="stable"), kind="stable") + 0.0) / ROWS)
count = numpy.floor(numpy.maximum(signal, 0) / 2)
positive = 0.25 + numpy.abs(signal) / 4

CASES = [
    # name, target, weighted, parameters beside the common ones
    ("squared", real, False, {}),
    ("squared_penalties", real, True, {"alpha": 2, "lambda": 0.5, "gamma": 30, "min_child_weight": 5}),
    ("squared_deep", real, False, {"max_depth": 7, "eta": 0.1}),
    ("leaf_wise", real, False, {"grow_policy": "lossguide", "max_leaves": 9, "max_depth": 0}),
    ("monotone", real, False, {"monotone_constraints": "(1,1,0,0,-1)"}),
    ("interactions", real, False, {"interaction_constraints": "[[0, 1], [2, 3, 4]]"}),
    ("step", real, False, {"max_delta_step": 0.4}),
    # one round: XGBoost 1.7 forgets eta in leaves that it renews, and then residuals of 0 have signs by rounding
    ("absolute", real, False, {"objective": "reg:absoluteerror", "eta": 1}),
    ("logistic", binary, False, {"objective": "binary:logistic"}),
    ("logistic_weighted", binary, True, {"objective": "binary:logistic", "scale_pos_weight": 2.5}),
    ("softmax", triple, False, {"objective": "multi:softprob", "num_class": 3}),
    ("poisson", count, False, {"objective": "count:poisson"}),
    ("gamma", positive, True, {"objective": "reg:gamma"}),
    ("tweedie", count, False, {"objective": "reg:tweedie", "tweedie_variance_power": 1.3}),
]

print("/*\n * boosting_xgboost.h - margins of rows 0, %d, ... after 8 rounds of XGBoost %s; written by test/witness/boosting.py.\n */"
      % (EVERY, xgboost.__version__))
print("#define WITNESS_ROWS %d\n#define WITNESS_COLUMNS %d\n#define WITNESS_EVERY %d\n" % (ROWS, COLUMNS, EVERY))
print("static const struct\n{\n\tconst char *name;\n\tdouble\t\tmargin[%d];\n}\twitness[] = {" % (3 * ROWS // EVERY))
for name, target, weighted, own in CASES:
    data = xgboost.DMatrix(x, target, weight=weight if weighted else None)
    params = {"tree_method": "hist", "max_depth": 3, "eta": 0.3, "base_score": 0.5, "nthread": 1, "max_bin": 256, **own}
    model = xgboost.train(params, data, 1 if name == "absolute" else 8)
    margin = model.predict(data, output_margin=True)[::EVERY].ravel()
    lines = ["%.9g" % m for m in margin]
    print("\t{\"%s\", {" % name)
    for at in range(0, len(lines), 8):
        print("\t\t" + ", ".join(lines[at:at + 8]) + ",")
    print("\t}},")
print("};")
