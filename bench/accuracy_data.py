"""The three data sets of the accuracy comparison as CSV files with a fixed split. usage: accuracy_data.py DATA_DIR OUT_DIR
Row i (per file for rt-polarity, pooled otherwise) is a test row when (i * 2654435761 mod 2^32) mod 5 == 0."""
import csv, os, sys
src, out = sys.argv[1:3]
os.makedirs(out, exist_ok=True)


def is_test(i):
    return (i * 2654435761 % 2**32) % 5 == 0


def lines(path, encoding="utf-8"):
    return [x for x in open(os.path.join(src, path), encoding=encoding, newline="\n").read().split("\n") if x]


def write(name, rows):
    for part in ("train", "test"):
        with open(os.path.join(out, f"{name}_{part}.csv"), "w", newline="", encoding="utf-8") as f:
            w = csv.writer(f, lineterminator="\n")
            w.writerow(("text", "label"))
            w.writerows((t, y) for t, y, test in rows if test == (part == "test"))


pool = [x.rsplit("\t", 1) for f in ("amazon_cells", "imdb", "yelp") for x in lines(f"sentiment-sentences-3k/{f}_labelled.txt")]
write("sentiment", [(t, int(y), is_test(i)) for i, (t, y) in enumerate(pool)])
rt = [(t, y, is_test(i)) for y, f in ((1, "pos"), (0, "neg")) for i, t in enumerate(lines(f"rt-polarity/rt-polarity.{f}.txt"))]
write("rt", rt)
sms = [x.split("\t", 1) for x in lines("sms-spam/SMSSpamCollection.tsv")]
write("sms", [(t, int(y == "spam"), is_test(i)) for i, (y, t) in enumerate(sms)])
