"""metrics.json: metrics by scikit-learn (1.9) on small data with ties and weights; ECE by the definition in docs/metrics.md.

    python make_metrics.py
"""
import json
import pathlib
import warnings

import numpy as np
from sklearn import metrics as m

warnings.simplefilter("ignore")
rng = np.random.default_rng(11)


def ece(y, p, w, bins=15):
    edges = np.arange(bins + 1) / bins
    bin_ = np.clip(np.searchsorted(edges, p, side="left") - 1, 0, bins - 1)
    return sum(abs((w * (y - p))[bin_ == b].sum()) for b in range(bins)) / w.sum()


def ece_equal_mass(y, p, w, bins=15):
    bin_ = np.zeros(len(p), int)
    below = 0.0
    for value in np.unique(p):
        group = p == value
        bin_[group] = min(int(bins * ((below + w[group].sum() / 2) / w.sum())), bins - 1)
        below += w[group].sum()
    return sum(abs((w * (y - p))[bin_ == b].sum()) for b in range(bins)) / w.sum()


def averages(y, yhat, w, kinds):
    out = {}
    for kind in kinds:
        p, r, f, _ = m.precision_recall_fscore_support(y, yhat, average=kind, sample_weight=w, zero_division=0)
        out |= {f"precision_{kind}": p, f"recall_{kind}": r, f"f1_{kind}": f}
    return out


def common(y, yhat, w):
    return {"accuracy": m.accuracy_score(y, yhat, sample_weight=w), "balanced_accuracy": m.balanced_accuracy_score(y, yhat, sample_weight=w),
            "mcc": m.matthews_corrcoef(y, yhat, sample_weight=w)}


def binary(name, y, p, w):
    one = np.ones(len(y)) if w is None else w
    yhat = (p > .5).astype(int)
    want = common(y, yhat, w) | averages(y, yhat, w, ["binary", "macro", "weighted", "micro"])
    want |= {"roc_auc": m.roc_auc_score(y, p, sample_weight=w), "pr_auc": m.average_precision_score(y, p, sample_weight=w),
             "log_loss": m.log_loss(y, p, sample_weight=w), "brier": m.brier_score_loss(y, p, sample_weight=w),
             "ece": ece(y, p, one), "ece_equal_mass": ece_equal_mass(y, p, one)}
    return {"name": name, "task": "binary", "k": 2, "y": y, "p": p, "w": w, "want": want}


def classes(name, y, p, w):
    k = p.shape[1]
    one = np.ones(len(y)) if w is None else w
    yhat = p.argmax(1)
    onehot = np.eye(k)[y]
    want = common(y, yhat, w) | averages(y, yhat, w, ["macro", "weighted", "micro"])
    want |= {"roc_auc": m.roc_auc_score(y, p, multi_class="ovr", average="macro", sample_weight=w),
             "pr_auc": m.average_precision_score(onehot, p, average="macro", sample_weight=w),
             "log_loss": m.log_loss(y, p, sample_weight=w), "brier": m.brier_score_loss(y, p, sample_weight=w),
             "ece": ece((yhat == y).astype(float), p.max(1), one)}
    return {"name": name, "task": "classes", "k": k, "y": y, "p": p.ravel(), "w": w, "want": want}


def number(name, y, p, w):
    want = {"rmse": m.root_mean_squared_error(y, p, sample_weight=w), "mae": m.mean_absolute_error(y, p, sample_weight=w),
            "r2": m.r2_score(y, p, sample_weight=w), "mape": m.mean_absolute_percentage_error(y, p, sample_weight=w)}
    return {"name": name, "task": "number", "k": 0, "y": y, "p": p, "w": w, "want": want}


n = 80
y = (rng.random(n) < .35).astype(int)
p = np.clip(.35 + .3 * (y - .35) + .25 * rng.standard_normal(n), 0, 1)
w = rng.integers(1, 6, n) / 2.0
w0 = np.where(rng.random(n) < .2, 0, w)
cases = [binary("smooth", y, p, None), binary("smooth, weights", y, p, w), binary("smooth, zero weights", y, p, w0),
         binary("ties", y, np.round(p, 1), None), binary("ties, weights", y, np.round(p, 1), w),
         binary("on the bins' edges", y, np.round(p * 15) / 15, w),
         binary("constant", y, np.full(n, .3), w), binary("certain and partly wrong", y, np.where(rng.random(n) < .9, y, 1 - y).astype(float), w),
         binary("perfect", y, .1 + .8 * y, None), binary("backwards", y, .9 - .8 * y, w)]
k = 4
yc = rng.choice(k, n, p=[.5, .3, .15, .05])
logits = rng.standard_normal((n, k)) + 1.2 * np.eye(k)[yc]
pc = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
coarse = np.round(pc * 4) + .5
coarse[:, 3] = .25   # a class that is never predicted, and many ties
coarse = coarse / coarse.sum(1, keepdims=True)
cases += [classes("four classes", yc, pc, None), classes("four classes, weights", yc, pc, w), classes("ties", yc, coarse, None),
          classes("ties, weights", yc, coarse, w)]
t = 50 + 20 * rng.standard_normal(n)
cases += [number("numbers", t, t + 5 * rng.standard_normal(n), None), number("numbers, weights", t, t + 5 * rng.standard_normal(n), w),
          number("far off", t, -t, w0)]


def plain(v):
    if isinstance(v, dict):
        return {key: plain(x) for key, x in v.items()}
    if isinstance(v, np.ndarray):
        return [plain(x) for x in v.tolist()]
    return v if v is None or isinstance(v, (str, int)) else float(v)


path = pathlib.Path(__file__).parent / "metrics.json"
path.write_text("[" + ",\n".join(json.dumps(plain(c)) for c in cases) + "]\n")
print(f"{len(cases)} cases, {path.stat().st_size} bytes")
