"""A corpus of two classes for the speed comparisons: N documents of about 60 words, Zipf over 20,000 words, one in seven a class word.
usage: gen_text.py TRAIN.csv TEST.csv [N=20000] [SEED=1]; the last tenth is the test file."""
import csv, sys
import numpy as np

train, test = sys.argv[1:3]
n = int(sys.argv[3]) if len(sys.argv) > 3 else 20000
rng = np.random.default_rng(int(sys.argv[4]) if len(sys.argv) > 4 else 1)
V = 20000
words = set()
while len(words) < V:
    k = int(rng.integers(1, 5))
    words.add("".join("bcdfghjklmnprstvwz"[rng.integers(18)] + "aeiou"[rng.integers(5)] for _ in range(k)) + ("s" if rng.random() < 0.5 else ""))
words = np.array(sorted(words), dtype=object)[rng.permutation(V)]
p = 1 / np.arange(1, V + 1) ** 1.05
p /= p.sum()
own = [np.arange(100, 900, 2), np.arange(101, 901, 2)]
rows = []
for _ in range(n):
    y = int(rng.integers(2))
    L = int(np.clip(rng.normal(60, 15), 10, 140))
    ids = rng.choice(V, size=L, p=p)
    marked = rng.random(L) < 0.15
    right = np.where(rng.random(L) < 0.8, y, 1 - y)
    ids = np.where(marked, np.array([own[r][rng.integers(400)] for r in right]), ids)
    text = [words[i] + (", " if k % 10 == 9 else " ") for k, i in enumerate(ids)]
    rows.append(("".join(text).strip().capitalize() + ".", y))
for path, part in ((train, rows[: n * 9 // 10]), (test, rows[n * 9 // 10 :])):
    with open(path, "w", newline="") as f:
        w = csv.writer(f, lineterminator="\n")
        w.writerow(("text", "label"))
        w.writerows(part)
