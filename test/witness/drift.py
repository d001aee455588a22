#!/usr/bin/python3
"""Drift figures of electricity and adult, from the rows alone: writes test/data/drift.csv.

usage: drift.py [references.json]; with it, psi and ks are checked against figures made elsewhere.
"""
import csv
import gzip
import json
import sys

import numpy as np
from scipy.spatial.distance import jensenshannon
from scipy.stats import chi2_contingency, ks_2samp, wasserstein_distance

TRAINING = 17424
WINDOW = 4000


def psi(p, q):
    p, q = np.maximum(p, 1e-4), np.maximum(q, 1e-4)
    return float(np.sum((q - p) * np.log(q / p)))


def numbers(train, batch):
    cuts = np.unique(np.quantile(train, np.arange(1, 10) / 10))
    n = len(cuts) + 1
    p = np.bincount(np.searchsorted(cuts, train, side='right'), minlength=n) / len(train)
    q = np.bincount(np.searchsorted(cuts, batch, side='right'), minlength=n) / len(batch)
    return {'psi': psi(p, q), 'jensen_shannon': float(jensenshannon(p, q, base=2) ** 2),
            'ks': float(ks_2samp(train, batch).statistic), 'wasserstein': float(wasserstein_distance(train, batch)),
            'out_of_range': float(np.mean((batch < train.min()) | (batch > train.max())))}


def categories(train, batch):
    levels = sorted({v for v in train if v != ''})
    a = np.array([train.count(v) for v in levels] + [0], float)
    seen = [v for v in batch if v != '']
    b = np.array([seen.count(v) for v in levels] + [sum(v not in levels for v in seen)], float)
    table = np.array([a, b])
    table = table[:, table.sum(axis=0) > 0]
    p, q = a / a.sum(), b / b.sum()
    return {'psi': psi(p, q), 'jensen_shannon': float(jensenshannon(p, q, base=2) ** 2),
            'chi_square': float(chi2_contingency(table, correction=False)[0]),
            'null_share': batch.count('') / len(batch), 'new_categories': b[-1] / b.sum()}


def table(path):
    with gzip.open(path, 'rt') as file:
        return list(csv.DictReader(file))


def main():
    rows = table('test/data/electricity.csv.gz')
    known = json.load(open(sys.argv[1]))['drift']['windows'] if len(sys.argv) > 1 else None
    with open('test/data/drift.csv', 'w') as file:
        out = csv.writer(file, lineterminator='\n')
        out.writerow(['data', 'first', 'last', 'feature', 'measure', 'value'])

        def put(data, first, last, feature, values):
            for measure, value in values.items():
                out.writerow([data, first, last, feature, measure, repr(float(value))])

        for w, first in enumerate(range(TRAINING + 1, len(rows) + 1, WINDOW)):
            last = min(first + WINDOW - 1, len(rows))
            for feature in ('period', 'nswprice', 'nswdemand'):
                x = np.array([float(r[feature]) for r in rows])
                values = numbers(x[:TRAINING], x[first - 1:last])
                if known:
                    assert known[w]['first_row'] == first and known[w]['last_row'] == last
                    for measure in ('psi', 'ks'):
                        assert abs(known[w][measure][feature] - values[measure]) < 1e-9, (w, feature, measure)
                put('electricity', first, last, feature, values)
        rows = table('test/data/adult.csv.gz')
        train = [r for r in rows if r['official_split'] == 'train']
        batch = [r for r in rows if r['official_split'] == 'test'][:2000]
        for feature in ('workclass', 'education', 'occupation', 'sex', 'native_country'):
            put('adult', 1, 2000, feature, categories([r[feature] for r in train], [r[feature] for r in batch]))
        for feature in ('age', 'hours_per_week', 'capital_gain'):
            put('adult', 1, 2000, feature, numbers(np.array([float(r[feature]) for r in train]),
                                                   np.array([float(r[feature]) for r in batch])))


main()
