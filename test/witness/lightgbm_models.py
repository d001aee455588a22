#!/usr/bin/python3
"""Small models of LightGBM with rows and what it predicts for them, into a folder (test/data/models).

Needs the package lightgbm (written with version 4) and numpy; the tests need neither.
"""
import sys
import numpy as np
import lightgbm as lgb

SEED = 20240607


def numbers(a):
    return '{' + ','.join('NULL' if np.isnan(v) else repr(float(v)) for v in np.ravel(a)) + '}'


def data(rng, n, missing):
    x = rng.normal(size=(n, 4))
    x[:, 1] = np.round(x[:, 1] * 2) / 2                # zeros among them
    x[:, 3] = rng.integers(0, 70, n)
    if missing:
        x[rng.random((n, 4)) < .15] = np.nan
    return x


def main(folder):
    kinds = [  # name, parameters, categories, missing values in training, rounds
        ('regression', dict(objective='regression'), False, True, 5),
        ('none', dict(objective='regression', use_missing=False), False, True, 5),
        ('complete', dict(objective='regression_l1'), False, False, 4),     # missing values come only afterwards
        ('zero', dict(objective='regression', zero_as_missing=True), False, True, 5),
        ('sets', dict(objective='binary', sigmoid=1.7, min_data_per_group=5, cat_smooth=1), True, True, 5),
        ('poisson', dict(objective='poisson'), True, True, 4),
        ('classes', dict(objective='multiclass', num_class=4), False, True, 3),
        ('classes2', dict(objective='multiclass', num_class=2), False, True, 3),
        ('rf', dict(objective='binary', boosting='rf', bagging_freq=1, bagging_fraction=.6), False, True, 6),
        ('rf_classes', dict(objective='multiclass', num_class=3, boosting='rf', bagging_freq=1, bagging_fraction=.6), False, True, 3),
        ('dart', dict(objective='regression', boosting='dart', drop_rate=.5), True, True, 6),
        ('constant', dict(objective='regression', min_data_in_leaf=100000), False, True, 2),
        ('ranking', dict(objective='lambdarank'), False, True, 4),
        ('linear', dict(objective='regression', linear_tree=True), False, False, 2),
    ]
    for name, par, categories, missing, rounds in kinds:
        rng = np.random.default_rng(SEED)
        x = data(rng, 800, missing)
        z = np.nan_to_num(x)
        f = z[:, 0] + np.sin(2 * z[:, 1]) + np.where(z[:, 3] % 7 < 3, .7, -.7) + np.isnan(x[:, 0]) + rng.normal(size=800) * .2
        classes = par.get('num_class', 2)
        y = f
        if par['objective'] in ('binary', 'multiclass', 'lambdarank'):
            y = np.clip(np.digitize(f, [0, 1, 2]), 0, classes - 1)
        elif par['objective'] == 'poisson':
            y = rng.poisson(np.exp(f / 3))
        sets = lgb.Dataset(x, y, categorical_feature=[3] if categories else [], group=[20] * 40 if par['objective'] == 'lambdarank' else None)
        b = lgb.train(dict(dict(num_leaves=8, min_data_in_leaf=10), **par, verbosity=-1, seed=1, deterministic=True, num_threads=1), sets, rounds)
        file = f'{folder}/lightgbm4_{name}'
        text = b.model_to_string()
        open(file + '.txt', 'w').write(text[:text.index('\nparameters:')] if len(text) > 6000 else text)
        new = data(rng, 40, True)
        for j in range(3):                              # on and next to thresholds; zero
            t = np.array([float(v) for tree in text.split('Tree=')[1:] if 'split_feature=' in tree and 'threshold=' in tree
                          for k, v in zip(line(tree, 'split_feature'), line(tree, 'threshold')) if k == str(j)] or [0.])
            some = rng.random(40) < .3
            t = t[rng.integers(0, len(t), 40)]
            new[some, j] = np.choose(rng.integers(0, 4, 40), [t, np.nextafter(t, np.inf), np.nextafter(t, -np.inf), t * 0])[some]
        new[::9, 3] = 500
        prediction = b.predict(new).reshape(40, -1)
        with open(file + '.csv', 'w') as out:
            for row, p in zip(new, prediction):
                out.write(f'"{numbers(row)}","{numbers(p)}"\n')


def line(tree, name):
    return tree.split('\n' + name + '=')[1].split('\n')[0].split()


if len(sys.argv) != 2:
    sys.exit(__doc__)
main(sys.argv[1])
