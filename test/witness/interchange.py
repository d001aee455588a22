#!/usr/bin/python3
"""Models of XGBoost, and what it predicts with them; and XGBoost's predictions with models that ml_ext exported.

    interchange.py make DIR       random models of many kinds: DIR/NAME.json, DIR/NAME.ubj, DIR/NAME.csv (a row:
                                  number, features, margin, prediction, contributions to the margin), DIR/cases
    interchange.py apply DIR      for each DIR/NAME.model: loads it, predicts DIR/NAME.rows (CSV with a header; a category
                                  as text, the numbers float32), writes DIR/NAME.out
    interchange.py keep DIR       a few small models with rows and predictions for test/data/models

Needs XGBoost 1.7 or later (Debian's python3-xgboost) and numpy.
"""
import csv, json, os, sys
import numpy as np
import xgboost as xgb

ROWS, NEW, EXPLAINED = 3000, 3000, 200
SEED = 20240607


def dmatrix(x, y=None, cats=(), **more):
    types = ['c' if j in cats else 'float' for j in range(x.shape[1])]
    return xgb.DMatrix(x.astype(np.float32), y, feature_types=types if cats else None,
                       enable_categorical=bool(cats), missing=np.nan, **more)


def numbers(a):
    """An array of PostgreSQL."""
    return '{' + ','.join('NULL' if np.isnan(v) else repr(float(v)) for v in np.ravel(a)) + '}'


def data(rng, n, p, cats):
    x = rng.normal(size=(n, p))
    for j in range(1, p, 3):
        x[:, j] = np.round(x[:, j] * 4) / 4             # few distinct values, zero among them
    for j in cats:
        x[:, j] = rng.integers(0, 60, n)
    x[rng.random((n, p)) < .1] = np.nan
    return x


def hard_rows(rng, booster, x, cats):
    """Doubles on, just below and just above the thresholds as float32 rounds them; unknown categories."""
    trees = json.loads(booster.save_raw('json'))['learner']['gradient_booster']
    trees = trees.get('gbtree', trees)['model']['trees']
    x = x.copy()
    cuts = {}
    for t in trees:
        for left, j, c in zip(t['left_children'], t['split_indices'], t['split_conditions']):
            if left >= 0 and j not in cats:
                cuts.setdefault(j, []).append(np.float32(c))
    for j, c in cuts.items():
        c = np.array(c, np.float32)[rng.integers(0, len(c), len(x))]
        below = np.nextafter(c, np.float32(-np.inf)).astype(float)
        middle = below + (c.astype(float) - below) / 2
        kinds = [c.astype(float), below, middle, np.nextafter(middle, np.inf), np.nextafter(middle, -np.inf)]
        some = rng.random(len(x)) < .4
        x[some, j] = np.choose(rng.integers(0, 5, len(x)), kinds)[some]
    for j in cats:
        x[rng.random(len(x)) < .2, j] = 1000
        x[rng.random(len(x)) < .1, j] = 63
    return x


def targets(rng, x):
    z = np.nan_to_num(x)
    f = z[:, 0] + np.sin(2 * z[:, 1]) + .5 * z[:, 2] * (z[:, 0] > 0) + rng.normal(size=len(x)) * .3
    f = f + np.where(z[:, 3] % 7 < 3, .7, -.7)
    return {'real': f, 'binary': (f > 0) * 1, 'four': np.digitize(f, [-1, 0, 1]), 'count': rng.poisson(np.exp(f / 3)),
            'positive': np.exp(f / 3), 'rank': (f > 0) * 1 + (f > 1)}


def cases():
    sets = dict(tree_method='hist', max_cat_to_onehot=1)
    return [
        ('squared', 'real', dict(objective='reg:squarederror', max_depth=8), 60, ()),
        ('logistic', 'binary', dict(objective='binary:logistic', tree_method='hist', scale_pos_weight=3), 60, ()),
        ('logitraw', 'binary', dict(objective='binary:logitraw', base_score=.3), 20, ()),
        ('reg_logistic', 'binary', dict(objective='reg:logistic', base_score=.2), 20, ()),
        ('softprob', 'four', dict(objective='multi:softprob', num_class=4), 20, ()),
        ('softmax', 'four', dict(objective='multi:softmax', num_class=4, base_score=.7), 20, ()),
        ('softprob2', 'binary', dict(objective='multi:softprob', num_class=2), 20, ()),
        ('poisson', 'count', dict(objective='count:poisson', base_score=2), 30, ()),
        ('gamma', 'positive', dict(objective='reg:gamma'), 30, ()),
        ('tweedie', 'positive', dict(objective='reg:tweedie', tweedie_variance_power=1.3), 30, ()),
        ('pseudohuber', 'real', dict(objective='reg:pseudohubererror', base_score=0), 20, ()),
        ('squaredlog', 'positive', dict(objective='reg:squaredlogerror'), 20, ()),
        ('absolute', 'real', dict(objective='reg:absoluteerror'), 20, ()),
        ('ranking', 'rank', dict(objective='rank:pairwise'), 20, ()),
        ('cox', 'positive', dict(objective='survival:cox'), 10, ()),
        ('dart', 'binary', dict(objective='binary:logistic', booster='dart', rate_drop=.3), 20, ()),
        ('dart4', 'four', dict(objective='multi:softprob', num_class=4, booster='dart', rate_drop=.3), 8, ()),
        ('forest', 'real', dict(objective='reg:squarederror', num_parallel_tree=10, subsample=.5, learning_rate=1), 2, ()),
        ('leaf_wise', 'real', dict(objective='reg:squarederror', tree_method='hist', grow_policy='lossguide', max_leaves=40, max_depth=0), 20, ()),
        ('pruned', 'real', dict(objective='reg:squarederror', tree_method='exact', gamma=20), 20, ()),
        ('stumps', 'real', dict(objective='reg:squarederror', max_depth=1, base_score=-3), 5, ()),
        ('constant', 'real', dict(objective='reg:squarederror', min_child_weight=1e9, base_score=1.25), 3, ()),
        ('sets', 'real', dict(objective='reg:squarederror', **sets), 30, (3,)),
        ('sets_classes', 'four', dict(objective='multi:softprob', num_class=4, **sets), 10, (3, 5)),
        ('one_hot', 'binary', dict(objective='binary:logistic', tree_method='approx', max_cat_to_onehot=100), 20, (3,)),
    ]


def train(rng, target, par, rounds, cats, n=ROWS, p=6):
    x = data(rng, n, p, cats)
    d = dmatrix(x, targets(rng, x)[target], cats)
    if par['objective'].startswith('rank'):
        d.set_group([n // 10] * 10)
    return xgb.train(dict(par, seed=1, nthread=1, verbosity=0), d, rounds), x


def expected(booster, x, cats, explained):
    d = dmatrix(x, cats=cats)
    margin = booster.predict(d, output_margin=True).reshape(len(x), -1)
    prediction = booster.predict(d).reshape(len(x), -1)
    contributions = booster.predict(dmatrix(x[:explained], cats=cats), pred_contribs=True)
    if contributions.ndim == 3:                        # of the class with the greatest margin
        contributions = contributions[np.arange(explained), margin[:explained].argmax(1)]
    return margin, prediction, contributions


def make(folder):
    with open(folder + '/cases', 'w') as f:
        for name, target, par, rounds, cats in cases():
            rng = np.random.default_rng(SEED)
            booster, _ = train(rng, target, par, rounds, cats)
            for ext in 'json', 'ubj':
                booster.save_model(f'{folder}/{name}.{ext}')
            new = data(rng, NEW, 6, cats)
            new = hard_rows(rng, booster, new, cats)
            margin, prediction, contributions = expected(booster, new, cats, EXPLAINED)
            with open(f'{folder}/{name}.csv', 'w') as out:
                for i in range(NEW):
                    c = '"' + numbers(contributions[i]) + '"' if i < EXPLAINED else ''
                    out.write(f'{i},"{numbers(new[i])}","{numbers(margin[i])}","{numbers(prediction[i])}",{c}\n')
            f.write(f"{name} {par['objective']} {margin.shape[1]}\n")


def keep(folder):
    version = ''.join(xgb.__version__.split('.')[:2])
    for name, target, par, cats in (('binary', 'binary', dict(objective='binary:logistic'), ()),
                                    ('classes', 'four', dict(objective='multi:softprob', num_class=4), ()),
                                    ('sets', 'count', dict(objective='count:poisson', tree_method='hist', max_cat_to_onehot=1), (3,)),
                                    ('dart', 'real', dict(objective='reg:squarederror', booster='dart', rate_drop=.5), ())):
        rng = np.random.default_rng(SEED)
        booster, _ = train(rng, target, dict(par, max_depth=3), 3, cats, n=400, p=4)
        name = f'{folder}/xgboost{version}_{name}'
        booster.save_model(name + '.json')
        booster.save_model(name + '.ubj')
        new = hard_rows(rng, booster, data(rng, 20, 4, cats), cats)
        margin, prediction, _ = expected(booster, new, cats, 0)
        with open(name + '.csv', 'w') as out:
            for i in range(len(new)):
                out.write(f'"{numbers(new[i])}","{numbers(prediction[i])}"\n')


def apply(folder):
    for file in sorted(os.listdir(folder)):
        if not file.endswith('.model'):
            continue
        name = folder + '/' + file[:-len('.model')]
        booster = xgb.Booster()
        booster.load_model(bytearray(open(name + '.model', 'rb').read()))
        note = json.loads(booster.attr('ml_ext'))
        rows = list(csv.reader(open(name + '.rows')))
        assert booster.feature_names == rows[0][1:], (booster.feature_names, rows[0])
        cats = []
        x = np.full((len(rows) - 1, len(rows[0]) - 1), np.nan)
        for j, column in enumerate(rows[0][1:]):
            codes = {text: code for code, text in enumerate(note['categories'].get(column, []))}
            if codes:
                cats.append(j)
            for i, row in enumerate(rows[1:]):
                text = row[j + 1]
                x[i, j] = codes.get(text, np.nan) if codes else float(text) if text else np.nan
        assert [t == 'c' for t in booster.feature_types] == [j in cats for j in range(x.shape[1])]
        d = xgb.DMatrix(x, feature_names=rows[0][1:], feature_types=booster.feature_types, enable_categorical=bool(cats))
        prediction = booster.predict(d)
        with open(name + '.out', 'w') as out:
            for row, p in zip(rows[1:], prediction):
                out.write(f'{row[0]},"{numbers(p)}"\n')


if len(sys.argv) != 3:
    sys.exit(__doc__)
{'make': make, 'apply': apply, 'keep': keep}[sys.argv[1]](sys.argv[2])
