#!/usr/bin/python3
"""The expected numbers of test/sql/metrics.sql, computed by scikit-learn 1.2.

Prints rows for its table "expected".  The data are made by the same integer
arithmetic as in the test, so both sides see the same bits.
smape and wape, which scikit-learn lacks, are written out with numpy.
"""
import warnings
import numpy as np
from sklearn import metrics as m

warnings.simplefilter("ignore")
N = 400
i = np.arange(1, N + 1, dtype=np.int64)


def u(k):
    """Numbers i * i * k + i * 7919 modulo 1009, as a fraction of 1009."""
    return ((i * i * k + i * 7919) % 1009) / 1009.0


y = 1.0e6 + 20.0 * u(3)                      # large beside its spread
p = y + 4.0 * u(5) - 1.5
small = 0.5 + 20.0 * u(3)
near = small + 4.0 * u(5) - 1.5
w = (1 + (i * 13) % 7) / 4.0
b = u(11) < 0.35
score = np.floor(10.0 * (0.6 * u(7) + 0.4 * b)) / 10.0   # ties
prob = 0.6 * u(7) + 0.4 * b                  # 0 .. 1
prob[0], prob[1] = (0.0, 1.0)                # clipping
b[0], b[1] = (False, False)
names = np.array(["ant", "bee", "cat", "dog", "elk"])
act = np.where(u(17) < 0.3, 0, np.where(u(17) < 0.7, 1, np.where(u(17) < 0.95, 2, 3)))   # no elk
hat = np.where(u(19) < 0.6, np.minimum(act, 2), np.where(u(23) < 0.4, 0, np.where(u(23) < 0.8, 2, 4)))  # no dog
q = np.stack([1 + (i * 31) % 17, 1 + (i * 37) % 19, 1 + (i * 41) % 11], axis=1) + 8.0 * (np.minimum(act, 2)[:, None] == np.arange(3))
q = q / 64.0
q[:, 2] = 1.0 - q[:, 0] - q[:, 1]
c3 = np.minimum(act, 2)


def show(name, value):
    print("\t('%s', %s)," % (name, repr(float(value))))


for tag, kw in (("", {}), (" w", {"sample_weight": w})):
    ww = kw.get("sample_weight", np.ones(N))
    for t, a, f in (("", y, p), (" small", small, near)):
        show("rmse" + t + tag, np.sqrt(m.mean_squared_error(a, f, **kw)))
        show("mse" + t + tag, m.mean_squared_error(a, f, **kw))
        show("mae" + t + tag, m.mean_absolute_error(a, f, **kw))
        show("r2" + t + tag, m.r2_score(a, f, **kw))
        show("mape" + t + tag, m.mean_absolute_percentage_error(a, f, **kw))
        show("smape" + t + tag, np.average(2 * abs(a - f) / (abs(a) + abs(f)), weights=ww))
        show("wape" + t + tag, np.sum(ww * abs(a - f)) / np.sum(ww * abs(a)))
        show("median_absolute_error" + t + tag, m.median_absolute_error(a, f, **kw))
        show("max_error" + t + tag, m.max_error(a, f))
        show("explained_variance" + t + tag, m.explained_variance_score(a, f, **kw))
    show("auc" + tag, m.roc_auc_score(b, prob, **kw))
    show("auc ties" + tag, m.roc_auc_score(b, score, **kw))
    show("pr_auc" + tag, m.average_precision_score(b, prob, **kw))
    show("pr_auc ties" + tag, m.average_precision_score(b, score, **kw))
    show("log_loss" + tag, m.log_loss(b, prob, **kw))
    show("brier" + tag, m.brier_score_loss(b, prob, **kw))
    for t, a, f, avg in (("", b, prob > 0.5, "binary"), (" text", names[act], names[hat], "macro")):
        show("accuracy" + t + tag, m.accuracy_score(a, f, **kw))
        show("balanced_accuracy" + t + tag, m.balanced_accuracy_score(a, f, **kw))
        show("precision" + t + tag, m.precision_score(a, f, average=avg, **kw))
        show("recall" + t + tag, m.recall_score(a, f, average=avg, **kw))
        show("f1" + t + tag, m.f1_score(a, f, average=avg, **kw))
        show("mcc" + t + tag, m.matthews_corrcoef(a, f, **kw))
        show("kappa" + t + tag, m.cohen_kappa_score(a, f, **kw))
    for avg in ("micro", "weighted"):
        show("precision " + avg + tag, m.precision_score(act, hat, average=avg, **kw))
        show("recall " + avg + tag, m.recall_score(act, hat, average=avg, **kw))
        show("f1 " + avg + tag, m.f1_score(act, hat, average=avg, **kw))
    show("log_loss classes" + tag, m.log_loss(c3, q, labels=[0, 1, 2], **kw))
    show("auc classes" + tag, m.roc_auc_score(c3, q, multi_class="ovr", average="macro", **kw))

from sklearn.calibration import calibration_curve
t, f = calibration_curve(b, prob, n_bins=7)
show("calibration observed", np.sum(t * np.arange(1, len(t) + 1)))
show("calibration predicted", np.sum(f * np.arange(1, len(t) + 1)))
fpr, tpr, thr = m.roc_curve(b, prob)
show("roc points", len(thr))
show("roc sum", np.sum(fpr) + np.sum(tpr))
show("roc thresholds", np.sum(thr[1:]))
