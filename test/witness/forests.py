"""Test-set scores of scikit-learn's trees: prints test/data/forest_references.csv.

Rows with row_id % 5 = 0 are the test set.  A missing number becomes the training median; a category has one 0/1 column a
level, missing being a level of its own.  Means and standard deviations over 5 seeds.
"""
import csv
import sys

import numpy
import pandas
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor, RandomForestClassifier, RandomForestRegressor
from sklearn.metrics import roc_auc_score
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

SEEDS = 5
SETS = {
    # file: (target, columns that are left out, categories)
    "auto_mpg.csv": ("mpg", ["name"], ["origin"]),
    "concrete.csv": ("compressive_strength", [], []),
    "breast_cancer.csv": ("target", [], []),
    "digits.csv": ("target", [], []),
    "german_credit.csv": ("class", [], ["checking_status", "credit_history", "purpose", "savings", "employment",
                                        "personal_status", "other_parties", "property", "other_installment",
                                        "housing", "job", "telephone", "foreign_worker"]),
    "adult.csv.gz": ("income", ["official_split"], ["workclass", "education", "marital_status", "occupation",
                                                     "relationship", "race", "sex", "native_country"]),
    "diamonds.csv.gz": ("price", [], ["cut", "color", "clarity"]),
}
REGRESSIONS = {"auto_mpg.csv", "concrete.csv", "diamonds.csv.gz"}


def encode(train, test, target, left_out, categories):
    blocks = []
    for name in train.columns:
        if name in ["row_id", target] + left_out:
            continue
        if name in categories:
            a, b = (part[name].fillna("\0missing") for part in (train, test))
            for level in sorted(a.unique()):
                blocks.append(((a == level).to_numpy(float), (b == level).to_numpy(float)))
        else:
            a, b = (part[name].to_numpy(float) for part in (train, test))
            median = numpy.nanmedian(a)
            blocks.append([numpy.where(numpy.isnan(v), median, v) for v in (a, b)])
    return (numpy.column_stack(side) for side in zip(*blocks))


def models(is_class):
    tree, forest, extra = ((DecisionTreeClassifier, RandomForestClassifier, ExtraTreesClassifier) if is_class else
                           (DecisionTreeRegressor, RandomForestRegressor, ExtraTreesRegressor))
    third = {} if is_class else {"max_features": 1 / 3}
    yield "decision_tree", {"max_depth": 6}, lambda seed: tree(max_depth=6, random_state=seed)
    yield "random_forest", third, lambda seed: forest(100, random_state=seed, **third)
    yield "extra_trees", {}, lambda seed: extra(100, random_state=seed)


def main():
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow(["file", "task", "target", "left_out", "categories", "algorithm", "params", "metric", "value", "sd"])
    for file, (target, left_out, categories) in SETS.items():
        is_class = file not in REGRESSIONS
        kinds = {name: str for name in categories}
        rows = pandas.read_csv("test/data/" + file, dtype={**kinds, **({target: str} if is_class else {})})
        held = rows["row_id"] % 5 == 0
        train, test = rows[~held], rows[held]
        x, test_x = encode(train, test, target, left_out, categories)
        y, test_y = train[target].to_numpy(), test[target].to_numpy()
        for algorithm, params, make in models(is_class):
            scores = {}
            for seed in range(SEEDS):
                model = make(seed).fit(x, y)
                scores.setdefault("accuracy" if is_class else "r2", []).append(model.score(test_x, test_y))
                if is_class and len(model.classes_) == 2:
                    p = model.predict_proba(test_x)[:, 1]
                    scores.setdefault("auc", []).append(roc_auc_score(test_y == model.classes_[1], p))
            text = "{" + ", ".join(f'"{k}": {v!r}' for k, v in params.items()) + "}"
            for metric, values in scores.items():
                out.writerow([file, "classification" if is_class else "regression", target, " ".join(left_out),
                              " ".join(categories), algorithm, text, metric,
                              f"{numpy.mean(values):.6f}", f"{numpy.std(values):.6f}"])
            sys.stdout.flush()


main()
