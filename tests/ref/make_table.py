"""What Python's csv and json modules make of the same bytes. usage: make_table.py DATA_FOLDER

tables.json     each real table: form, rows, columns and a hash of all cells (FNV-1a over cell 0x1f … 0x1e a row)
csv_cases.json  300 small random texts with their rows, quotes, line ends and delimiters at random
small.csv.gz, small.csv.zst, twice.csv.gz (two members), bomb.csv.zst (300 MiB of one byte)
"""
import csv, glob, gzip, io, json, os, random, subprocess, sys

here = os.path.dirname(os.path.abspath(__file__))
data = sys.argv[1]
csv.field_size_limit(1 << 30)


def fnv(rows):
    h = 0xCBF29CE484222325
    for row in rows:
        for b in b"\x1f".join(c.encode() for c in row) + b"\x1e":
            h = (h ^ b) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return f"{h:016x}"


def unquote(field):
    inner = field[1:-1]
    if len(field) >= 2 and field[0] == field[-1] == '"' and '"' not in inner.replace('""', ""):
        return inner.replace('""', '"')
    return field


def load(path):
    raw = open(path, "rb").read()
    raw = gzip.decompress(raw) if path.endswith(".gz") else raw
    return raw.decode("utf-8-sig")


def table(name, form, delimiter=",", header=True):
    text = load(os.path.join(data, name))
    lines = [s for s in text.replace("\r\n", "\n").replace("\r", "\n").split("\n") if s]
    if form == "csv":
        rows = [r for r in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if r]
    elif form == "tsv":
        rows = [[unquote(f) for f in s.split("\t")] for s in lines]
    elif form == "space":
        rows = [s.split() for s in lines]
    elif form == "lines":
        rows = [[s] for s in lines]
    else:
        objects = [json.loads(s) for s in lines]
        rows = [[o["text"]] for o in objects]
        columns = len({k for o in objects for k in o})
        return {"path": name, "form": form, "delimiter": "", "header": False, "rows": len(rows), "columns": columns, "hash": fnv(rows)}
    if header:
        rows = rows[1:]
    assert len({len(r) for r in rows}) == 1, name
    return {"path": name, "form": form, "delimiter": delimiter, "header": header, "rows": len(rows), "columns": len(rows[0]), "hash": fnv(rows)}


def tables():
    out = [table(f"sentiment-sentences-3k/{n}_labelled.txt", "tsv", "\t", False) for n in ("amazon_cells", "imdb", "yelp")]
    out += [table(f"sst2/{n}.tsv", "tsv", "\t", False) for n in ("train", "dev", "test")]
    out += [table("sms-spam/SMSSpamCollection.tsv", "tsv", "\t", False), table("thucnews-titles/dev.txt", "tsv", "\t", False)]
    out += [table(f"bank-marketing/bank-{n}full.csv.gz", "csv", ";") for n in ("", "additional-")]
    out += [table(f"avazu-9k/{n}.csv", "csv", ",", False) for n in ("dev", "test")]
    out += [table(f"rt-polarity/rt-polarity.{n}.txt", "lines", "\n", False) for n in ("pos", "neg")]
    out += [table("cdnow/CDNOW_master.txt.gz", "space", " "), table("cdnow/CDNOW_sample.txt", "space", " ", False)]
    out += [table("pii-zh-synth/pii_zh.jsonl", "jsonl"), table("presidio-synth/pii_en.jsonl", "jsonl")]
    done = {t["path"] for t in out}
    for path in sorted(glob.glob(data + "/*/*.csv") + glob.glob(data + "/*/*.csv.gz")):
        name = os.path.relpath(path, data)
        if name not in done:
            out.append(table(name, "csv"))
    return out


def cases(n=300):
    r = random.Random(7)
    out = []
    while len(out) < n:
        delimiter = r.choice(",;|")
        pieces = [delimiter] * 5 + ['"'] * 4 + ['""', "\n", "\r\n", "\r", "a", "bc", " ", "é", "x" * 70, '"q"', '"a' + delimiter + 'b"', '"l\nm"', '"c\r\nd"']
        text = "".join(r.choice(pieces) for _ in range(r.randint(1, 40)))
        try:
            list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
        except csv.Error as e:
            if "unexpected end" in str(e):
                continue
        try:
            rows = [x for x in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if x]
        except csv.Error:
            continue
        # strict=True stops at an ill-placed quote before it can see an unclosed one: a sentinel row tells
        again = [x for x in csv.reader(io.StringIO(text + "\nEND\n", newline=""), delimiter=delimiter) if x]
        if again[-1] == ["END"] and again[:-1] == rows:
            out.append({"delimiter": delimiter, "text": text, "rows": rows})
    return out


with open(os.path.join(here, "tables.json"), "w") as f:
    f.write("[\n" + ",\n".join(json.dumps(t) for t in tables()) + "\n]\n")
with open(os.path.join(here, "csv_cases.json"), "w") as f:
    f.write("[\n" + ",\n".join(json.dumps(t) for t in cases()) + "\n]\n")
small = "name,price,note\n" + "".join(f'"item {i}",{i * 1.25},"said ""{i}"""\n' for i in range(60))
open(os.path.join(here, "small.csv.gz"), "wb").write(gzip.compress(small.encode(), mtime=0))
half = len(small) // 2
open(os.path.join(here, "twice.csv.gz"), "wb").write(gzip.compress(small[:half].encode(), mtime=0) + gzip.compress(small[half:].encode(), mtime=0) + b"\0" * 8)
zstd = lambda b: subprocess.run(["zstd", "-q", "-c", "--no-check"], input=b, stdout=subprocess.PIPE, check=True).stdout
open(os.path.join(here, "small.csv.zst"), "wb").write(zstd(small.encode()))
open(os.path.join(here, "bomb.csv.zst"), "wb").write(zstd(b"a" * (300 << 20)))
