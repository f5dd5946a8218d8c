"""Fixture of the word tokenizer: what Keras' legacy Tokenizer and pad_sequences give. Needs keras (3.x) and the data folder.
usage: make_tok_word.py DATA_FOLDER > tok_word.json

Texts: sentences of sentiment-sentences-3k (CC BY 4.0, Kotzias et al. 2015), messages of the SMS Spam Collection (CC BY 4.0,
Almeida et al. 2011), Chinese sentences made for the PII tests (CC0), and strings chosen to hurt. For each set of options: a
64-bit FNV-1a of all ids (per text: count, then ids, as little-endian int32), a few texts in full, hashes of padded matrices
and of the JSON file, whose word_docs and index_docs (in arbitrary order there, since they come from iterating a set) are put
in the order of word_counts and of the indices first."""
import csv, io, json, random, struct, sys
from keras.src.legacy.preprocessing.text import Tokenizer, tokenizer_from_json
from keras.utils import pad_sequences

data = sys.argv[1]


def fnv(b):
    h = 0xCBF29CE484222325
    for c in b:
        h = ((h ^ c) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return "%016x" % h


def real_texts():
    out = []
    for name in ("amazon_cells", "imdb", "yelp"):
        with open(f"{data}/sentiment-sentences-3k/{name}_labelled.txt", encoding="utf-8", newline="\n") as f:
            out += [l.rstrip("\n").rsplit("\t", 1)[0] for l in f][:260]
    with open(f"{data}/sms-spam/SMSSpamCollection.tsv", encoding="utf-8", newline="\n") as f:
        lines = [l.rstrip("\n").split("\t", 1)[1] for l in f]
    odd = [l for l in lines if not l.isascii()]
    out += odd[:80] + lines[:180]
    with open(f"{data}/pii-zh-synth/pii_zh.jsonl", encoding="utf-8") as f:
        out += [json.loads(l)["text"] for l in f][:150]
    return out


def nasty_texts():
    out = ["", " ", "  ", "\t\n", "\r\n", "a\r\nb\r\n", "CR\ronly", "non\u00a0breaking space", "\u0130stanbul I\u0131\u0130", "\u03a3", "\u039f\u0394\u039f\u03a3 \u03a3\u0391\u03a3. A\u03a3B A\u03a3",
           "Stra\u00dfe \u1e9e", "\ufb01ne \u01c5 \u01c4", "e\u0301 \u00e9 E\u0301 \u00c9", "\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f44d\U0001f3fd!", "zero\u200bwidth \ufeffbom", "don't 'tis e-mail x@y.z http://a.b/c?d=e&f",
           "<OOV> <oov> oov OOV", "...!!!???", "a||b|c|||d", "xa-y aa-aab aaa", "\u5f88\u5feb\uff0c\u597d\u5403\u3002\u5473\u9053\u8db3\uff01", "NUL\0inside \0 a\0b", "\x7f \x1f \x0b\x0c", "\u2028line\u2029para\u0085nel",
           "\U0010ffff \ufffd \uffff", "\"quotes\" \\back\\slash /", "caf\u00e9s Caf\u00c9S CAFES", "EeEe eEeE", "tab\tsep\tvalues", "1 2 3 10 100 1,000 1.5e3", "\u00e9 Alpha \u00e9\u00e9 beta", "the THE The thE"]
    for n in (63, 64, 65, 2047, 2048, 2049):   # around the blocks of a scanner
        out += ["x" * n, "y" * (n - 3) + " ab", " " * n + "z", "ab " * (n // 3) + "Q" * (n % 3), "W" * n + "." + "w" * n]
    out += ["h\u00e9" * 1500, "k" * 2040 + " " + "\u00dcber" + " " + "m" * 3000, "word " * 900 + "\u03a3"]
    rnd = random.Random(7)
    pools = ["abcABC  .,'", "aAbB -||aa", "e\u00e9E\u00c9 \u03a3\u03c3 \uff0c\u3002a.", "\r\n\t ab\0\x7f\u00a0", "\u4f60\u597d\uff0c \U0001f600x"]
    for k in range(150):
        pool, n = pools[k % len(pools)], rnd.choice([3, 10, 40, 64, 200, 2048 + k])
        out.append("".join(rnd.choice(pool) for _ in range(n)))
    return out


texts = real_texts() + nasty_texts()
K = Tokenizer().filters
SETS = [
    ("default", {}), ("example", dict(num_words=1000, oov_token="<OOV>")), ("top100", dict(num_words=100)), ("one", dict(num_words=1)),
    ("one_oov", dict(num_words=1, oov_token="<OOV>")), ("oov_in_corpus", dict(oov_token="good")), ("oov_beyond", dict(oov_token="jawbone", num_words=50)),
    ("oov_empty", dict(oov_token="", num_words=200)), ("cased", dict(lower=False)), ("no_filters", dict(filters="")), ("wide_filters", dict(filters="\uff0c\u3002\uff01\u00e9.,", oov_token="\u2205")),
    ("upper_filter", dict(filters="AB.")), ("split_two", dict(split="||", filters="-|")), ("split_overlap", dict(split="aa", filters="-")), ("split_wide", dict(split="\uff0c", filters=".\u3002")),
    ("split_letter", dict(split="e", filters="")), ("split_upper", dict(split="E", filters=".")), ("split_newline", dict(split="\n", filters="")),
    ("split_space_kept", dict(split="ab", filters="")), ("chars", dict(char_level=True)), ("chars_cased", dict(char_level=True, lower=False, num_words=40, oov_token="UNK")), ("chars_oov", dict(char_level=True, oov_token="e", num_words=3)),
    ("filters_cr", dict(filters=K + "\r")),
]


def hash_ids(seqs):
    return fnv(b"".join(struct.pack("<%di" % (len(s) + 1), len(s), *s) for s in seqs))


def canonical_json(t):
    j = json.loads(t.to_json())
    j["config"]["word_docs"] = json.dumps({w: t.word_docs[w] for w in t.word_counts if w in t.word_docs})
    j["config"]["index_docs"] = json.dumps({i: t.index_docs[i] for i in sorted(t.index_docs)})
    return json.dumps(j)


def describe(name, options, t):
    seqs = t.texts_to_sequences(texts)
    picks = [i for i in range(0, len(texts), 61) if len(seqs[i]) <= 40][:20]
    return {
        "name": name, "options": options, "words": len(t.word_index), "documents": t.document_count, "ids": hash_ids(seqs), "n_ids": sum(map(len, seqs)), "largest": max(max(s, default=0) for s in seqs),
        "json": fnv(canonical_json(t).encode()), "samples": [[i, seqs[i]] for i in picks],
        "texts": fnv("\n".join(t.sequences_to_texts(seqs)).encode()),
        "pads": [[m, p, c, v, fnv(pad_sequences(seqs, maxlen=m, padding=p, truncating=c, value=v).tobytes())] for m, p, c, v in ((12, "pre", "pre", 0), (5, "post", "pre", -1), (5, "pre", "post", 7), (40, "post", "post", 0))],
    }


def matrices(t):
    out = []
    for mode in ("binary", "count", "freq", "tfidf"):
        for i in (0, 3, 300, len(texts) - 1):
            row = t.texts_to_matrix([texts[i]], mode=mode)[0]
            out.append([mode, i, len(row), [[int(j), float(row[j])] for j in row.nonzero()[0]]])
    return out


sets = []
for name, options in SETS:
    t = Tokenizer(**options)
    t.fit_on_texts(texts)
    sets.append(describe(name, options, t))
    if name == "default":
        sets[-1]["matrices"] = matrices(t)[8:]
    if name == "top100":
        sets[-1]["matrices"] = matrices(t)
twice = Tokenizer(num_words=300, oov_token="<OOV>")
twice.fit_on_texts(texts[:500])
twice.fit_on_texts(texts[500:])
sets.append(describe("twice", dict(num_words=300, oov_token="<OOV>"), twice))

# Files as users have them: as written, and edited in the ways that forums teach.
small = ["The cat sat on the mat.", "The dog, the CAT & a \"mat\"!", "\u00dcber-\u732b \U0001f600 a\\b", "<pad> cat unknown"]
def fitted(**o):
    t = Tokenizer(**o)
    t.fit_on_texts(small[:3])
    return t
files = []
def add(name, t, note=None, text=None):
    text = text or t.to_json()
    r = tokenizer_from_json(text)
    files.append({"name": name, "json": text, "ids": r.texts_to_sequences(small), "texts": r.sequences_to_texts(r.texts_to_sequences(small))})
add("plain", fitted())
add("oov", fitted(oov_token="<OOV>", num_words=4))
add("indented", None, text=fitted(oov_token="x").to_json(indent=2, ensure_ascii=False))
t = fitted(oov_token="<OOV>"); t.word_index = {w: i for w, i in t.word_index.items() if i <= 4}; t.word_index["<OOV>"] = 5; add("cut_short", t)
t = fitted(filters=""); t.word_index["<pad>"] = 0; t.index_word[0] = "<pad>"; add("pad_at_0", t)
t = fitted(num_words=5.0); add("float_limit", t)
t = Tokenizer(char_level=True); t.fit_on_texts(["a\0b\0"]); add("nul", t)
refits = []
for f in ("plain", "oov", "pad_at_0"):
    r = tokenizer_from_json(next(x["json"] for x in files if x["name"] == f))
    import collections
    r.word_docs, r.index_docs = collections.defaultdict(int, r.word_docs), collections.defaultdict(int, r.index_docs)
    r.fit_on_texts(["new words, the dog dog dog <pad>"])
    refits.append({"name": f, "text": "new words, the dog dog dog <pad>", "ids": r.texts_to_sequences(small + ["new words"])})

json.dump({"small": small, "texts": texts, "sets": sets, "files": files, "refits": refits}, io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8"), ensure_ascii=False, separators=(",", ":"))
