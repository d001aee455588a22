"""Test-set scores of linear models under one stated preprocessing: prints test/data/references.csv.

Rows with row_id % 5 = 0 are the test set.  A missing number becomes the training median; numbers are standardized by
training mean and population standard deviation for penalised models; a category has one 0/1 column a level, missing
being a level of its own; levels unseen in training are all zero.
"""
import csv
import sys

import numpy
import pandas
import scipy.special
from sklearn.linear_model import ElasticNet, LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score

SETS = {
    # file: (target, columns that are left out, categories)
    "diamonds.csv.gz": ("price", [], ["cut", "color", "clarity"]),
    "auto_mpg.csv": ("mpg", ["name"], ["origin"]),
    "concrete.csv": ("compressive_strength", [], []),
    "diabetes.csv": ("target", [], []),
    "adult.csv.gz": ("income", ["official_split"], ["workclass", "education", "marital_status", "occupation",
                                                     "relationship", "race", "sex", "native_country"]),
    "breast_cancer.csv": ("target", [], []),
    "wine_cultivar.csv": ("target", [], []),
    "digits.csv": ("target", [], []),
    "german_credit.csv": ("class", [], ["checking_status", "credit_history", "purpose", "savings", "employment",
                                        "personal_status", "other_parties", "property", "other_installment",
                                        "housing", "job", "telephone", "foreign_worker"]),
}
CLASSIFICATIONS = {"adult.csv.gz", "breast_cancer.csv", "wine_cultivar.csv", "digits.csv", "german_credit.csv"}


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
            a, b = (numpy.where(numpy.isnan(v), median, v) for v in (a, b))
            sd = a.std() or 1.0
            blocks.append(((a - a.mean()) / sd, (b - a.mean()) / sd))
    return (numpy.column_stack(side) for side in zip(*blocks))


def regression(x, y, test_x, test_y):
    center, sd = x.mean(axis=0), y.std()
    u = (y - y.mean()) / sd

    def scores(w):
        error = test_y - (y.mean() + (test_x - center) @ w)
        return {"rmse": numpy.sqrt((error ** 2).mean()), "mae": abs(error).mean(),
                "r2": 1 - (error ** 2).sum() / ((test_y - test_y.mean()) ** 2).sum()}

    z = x - center
    yield "linear", {}, scores(numpy.linalg.lstsq(z, y - y.mean(), rcond=1e-10)[0])
    yield "ridge", {"l2": 1}, scores(numpy.linalg.solve(z.T @ z + numpy.eye(z.shape[1]), z.T @ (y - y.mean())))
    for name, ratio in (("lasso", 1.0), ("elastic_net", 0.5)):
        net = ElasticNet(alpha=0.01, l1_ratio=ratio, tol=1e-12, max_iter=1000000, fit_intercept=False).fit(z, u)
        params = {"lambda": float(0.01 * sd)}
        if name == "elastic_net":
            params["l1_ratio"] = ratio
        yield name, params, scores(net.coef_ * sd)


def softmax(x, labels, y, l2=1.0):
    """Newton's method on sum(log loss) + l2/2 |w|^2 over all classes' weights; intercepts are free."""
    n, k = len(x), len(labels)
    design = numpy.column_stack([numpy.ones(n), x])
    q = design.shape[1]
    hit = (y[:, None] == numpy.array(labels)).astype(float)
    penalty = numpy.tile(numpy.r_[0.0, numpy.full(q - 1, l2)], k)
    beta = numpy.zeros(k * q)
    for _ in range(50):
        p = scipy.special.softmax(design @ beta.reshape(k, q).T, axis=1)
        gradient = ((p - hit).T @ design).ravel() + penalty * beta
        hessian = numpy.diag(penalty)
        for a in range(k):
            for b in range(k):
                weight = p[:, a] * ((a == b) - p[:, b])
                hessian[a * q:(a + 1) * q, b * q:(b + 1) * q] += (design * weight[:, None]).T @ design
        step = numpy.linalg.lstsq(hessian, gradient, rcond=1e-12)[0]  # intercepts are free up to a constant
        beta -= step
        if abs(step).max() < 1e-12:
            break
    return lambda rows: scipy.special.softmax(
        numpy.column_stack([numpy.ones(len(rows)), rows]) @ beta.reshape(k, q).T, axis=1)


def classification(x, y, test_x, test_y):
    labels = sorted(set(y))
    if len(labels) == 2:
        model = LogisticRegression(C=1.0, tol=1e-12, max_iter=1000, solver="newton-cholesky").fit(x, y)
        p = model.predict_proba(test_x)
    else:
        p = softmax(x, labels, y)(test_x)
    hits = numpy.array(labels)[p.argmax(axis=1)] == test_y
    scores = {"accuracy": hits.mean(), "log_loss": log_loss(test_y, p, labels=labels)}
    if len(labels) == 2:
        scores["auc"] = roc_auc_score(test_y == labels[1], p[:, 1])
    yield "logistic", {"l2": 1}, scores


out = csv.writer(sys.stdout, lineterminator="\n")
out.writerow(["file", "task", "target", "left_out", "categories", "algorithm", "params", "metric", "value"])
for file, (target, left_out, categories) in SETS.items():
    kinds = {name: str for name in categories}
    is_class = file in CLASSIFICATIONS
    rows = pandas.read_csv("test/data/" + file, dtype={**kinds, **({target: str} if is_class else {})})
    held = rows["row_id"] % 5 == 0
    train, test = rows[~held], rows[held]
    x, test_x = encode(train, test, target, left_out, categories)
    work = classification if is_class else regression
    for algorithm, params, scores in work(x, train[target].to_numpy(), test_x, test[target].to_numpy()):
        text = "{" + ", ".join(f'"{k}": {v!r}' for k, v in params.items()) + "}"
        for metric, value in scores.items():
            out.writerow([file, "classification" if is_class else "regression", target, " ".join(left_out),
                          " ".join(categories), algorithm, text, metric, f"{value:.10g}"])
