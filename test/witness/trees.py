"""Predictions of scikit-learn's decision trees for the rows they were grown from: prints test/unit/forest_values.h.

The data are the first of a series in which no two splits are equally good: every tree is grown with several orders of the
columns, which is how scikit-learn breaks ties, and comes out the same.
"""
import itertools

import numpy
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

N = 120


class Tie(Exception):
    pass


def data(seed):
    random = numpy.random.RandomState(seed)
    x = numpy.column_stack([random.normal(size=N).round(2), random.exponential(size=N).round(2),
                            random.uniform(-3, 3, N).round(1), random.randint(0, 6, N).astype(float)])
    signal = x[:, 0] + numpy.sin(2 * x[:, 2]) + 0.3 * x[:, 3] + 0.5 * random.normal(size=N)
    two = (signal > 1).astype(int)
    return {"x": x, "y": (10 * signal).round(1), "two": two, "three": (signal > 0.3).astype(int) + (signal > 1.4),
            "w": random.randint(1, 4, N), "balanced": N / (2 * numpy.bincount(two)[two])}


def stable(make, x, target, weight):
    """The tree, if ties do not matter."""
    models = [make(seed).fit(x, target, weight) for seed in range(20)]
    predict = getattr(models[0], "predict_proba", models[0].predict)
    want = predict(x)
    for m in models[1:]:
        if abs(getattr(m, "predict_proba", m.predict)(x) - want).max() > 1e-12:
            raise Tie
    return models[0], want


def alpha_between(make, x, target, weight):
    """A penalty half way between two at which branches fall, about two thirds up."""
    path = make(0).cost_complexity_pruning_path(x, target, weight).ccp_alphas
    path = path[numpy.r_[True, numpy.diff(path) > 1e-9]]
    i = 2 * len(path) // 3
    return float((path[i - 1] + path[i]) / 2)


def show(name, values, kind="double"):
    print(f"static const {kind} {name}[] = {{")
    for i in range(0, len(values), 8):
        print("\t" + ", ".join(f"{v:.15g}" for v in values[i:i + 8]) + ",")
    print("};")


CASES = [
    # target, criterion, weights, pruned, settings
    ("y", "squared_error", None, False, {"min_samples_leaf": 6}),
    ("y", "squared_error", "w", False, {"min_samples_leaf": 6, "max_depth": 3}),
    ("y", "squared_error", None, False, {"min_samples_leaf": 6, "max_leaf_nodes": 6}),
    ("y", "squared_error", None, True, {"min_samples_leaf": 5}),
    ("two", "gini", None, False, {"min_samples_leaf": 8}),
    ("two", "gini", "w", True, {"min_samples_leaf": 6}),
    ("two", "gini", "balanced", False, {"min_samples_leaf": 8}),
    ("two", "entropy", None, False, {"min_samples_leaf": 8}),
    ("three", "gini", None, False, {"min_samples_leaf": 8}),
    ("three", "gini", None, True, {"min_samples_leaf": 6, "min_samples_split": 20}),
    ("three", "entropy", "w", False, {"min_samples_leaf": 8, "max_leaf_nodes": 5}),
    ("three", "entropy", None, True, {"min_samples_leaf": 6}),
]


def fit(d, target, criterion, weights, pruned, settings):
    """Parameters, the tree and its predictions for one case."""
    kind = DecisionTreeRegressor if target == "y" else DecisionTreeClassifier

    def make(seed, alpha=0.0):
        return kind(criterion=criterion, random_state=seed, ccp_alpha=alpha, **settings)

    weight = d[weights] if weights else None
    alpha = alpha_between(make, d["x"], d[target], weight) if pruned else 0.0
    model, want = stable(lambda seed: make(seed, alpha), d["x"], d[target], weight)
    return alpha, model, want[:, 1] if target == "two" else want


for seed in itertools.count():
    try:
        d = data(seed)
        results = [fit(d, *case) for case in CASES]
        break
    except Tie:
        continue

print("/* Printed by test/witness/trees.py (scikit-learn 1.2): data, and what its trees predict for them. */")
print(f"#define WITNESS_ROWS {N}\n#define WITNESS_COLUMNS {d['x'].shape[1]}")
for name, values in d.items():
    show("witness_" + name, values.ravel())
rows = []
for i, ((target, criterion, weights, _, settings), (alpha, model, want)) in enumerate(zip(CASES, results)):
    show(f"witness_{i}", numpy.ravel(want))
    rows.append(f'\t{{witness_{target}, {0 if target == "y" else 2 if target == "two" else 3}, '
                f'{"witness_" + weights if weights else "NULL"}, witness_{i}, {model.get_n_leaves()}, '
                f'{{.min_samples_leaf = {settings["min_samples_leaf"]}, .min_samples_split = {settings.get("min_samples_split", 2)}, '
                f'.max_depth = {settings.get("max_depth", 0)}, .max_leaves = {settings.get("max_leaf_nodes", 0)}, '
                f'.criterion = {"ML_CRITERION_ENTROPY" if criterion == "entropy" else "ML_CRITERION_AUTO"}, '
                f'.ccp_alpha = {alpha:.15g}, .max_bin = 256}}}},')
print("static const struct\n{\n\tconst double *y;\n\tint\t\t\tclasses;\n\tconst double *w;\n\tconst double *want;\n"
      "\tint\t\t\tleaves;\n\tMlForestParams params;\n} witness_cases[] = {")
print("\n".join(rows))
print("};")
