"""Test scores of XGBoost, mean over five splits: prints test/data/boosting.csv.

100 rounds of depth 6, histograms of 256 bins, all else XGBoost's defaults.  A row is in the test part of split s when the
first digit of md5("row_id:s") is 0, 1 or 2.  Categories have one 0/1 column a level; missing numbers stay missing.
"""
import hashlib

import numpy
import pandas
import xgboost
from sklearn.metrics import accuracy_score, r2_score, roc_auc_score

CREDIT = ("checking_status credit_history purpose savings employment personal_status other_parties property "
          "other_installment housing job telephone foreign_worker")
ADULT = "workclass education marital_status occupation relationship race sex native_country"
SETS = [
    # file, target, metric, columns left out, categories, how much less is chance
    ("concrete.csv", "compressive_strength", "r2", "", "", 0.006),
    ("auto_mpg.csv", "mpg", "r2", "name", "origin", 0.015),
    ("breast_cancer.csv", "target", "auc", "", "", 0.003),
    ("german_credit.csv", "class", "auc", "", CREDIT, 0.012),
    ("digits.csv", "target", "accuracy", "", "", 0.004),
    ("diamonds.csv.gz", "price", "r2", "", "cut color clarity", 0.002),
    ("adult.csv.gz", "income", "auc", "official_split", ADULT, 0.002),
]

print("file,target,metric,left_out,categories,tolerance,value")
for file, target, metric, left_out, categories, tolerance in SETS:
    data = pandas.read_csv("test/data/" + file, keep_default_na=False, na_values=[""])
    y = data[target]
    if metric != "r2":
        y = y.map({c: i for i, c in enumerate(sorted(y.unique()))})
    y = y.to_numpy(float)
    x = data.drop(columns=["row_id", target] + left_out.split())
    x = pandas.get_dummies(x, columns=categories.split()).to_numpy(float)
    params = {"tree_method": "hist", "max_depth": 6, "eta": 0.3, "max_bin": 256, "nthread": 1}
    if metric == "auc":
        params["objective"] = "binary:logistic"
    elif metric == "accuracy":
        params.update(objective="multi:softprob", num_class=int(y.max()) + 1)
    scores = []
    for split in range(1, 6):
        test = numpy.array([hashlib.md5(b"%d:%d" % (i, split)).hexdigest()[0] in "012" for i in data["row_id"]])
        model = xgboost.train(params, xgboost.DMatrix(x[~test], y[~test]), 100)
        p = model.predict(xgboost.DMatrix(x[test]))
        scores.append(r2_score(y[test], p) if metric == "r2" else roc_auc_score(y[test], p) if metric == "auc"
                      else accuracy_score(y[test], p.argmax(1)))
    print("%s,%s,%s,%s,%s,%g,%.6f" % (file, target, metric, left_out, categories, tolerance, numpy.mean(scores)), flush=True)
