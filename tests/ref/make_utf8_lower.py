"""Asks Python about lower case and the final-sigma rule for every code point; writes utf8_lower.txt.

Lines:  "python VERSION unicode VERSION"
        "lower FIRST LAST DELTA STRIDE"   code points FIRST, FIRST+STRIDE … LAST lower to themselves + DELTA (one character)
        "full CP CP CP …"                 a code point whose lower case has several characters
        "cased FIRST LAST"                letter + sigma gives a final sigma because of this character alone
        "skipped FIRST LAST"              case-ignorable: "A" + it + sigma gives a final sigma, it alone before sigma does not
        "unassigned FIRST LAST"           not in this Python's Unicode: the test leaves them out
        "text HEX HEX"                    UTF-8 of a text and of its lower case
Everything that no line mentions lowers to itself and is neither cased nor skipped. Run: python3 make_utf8_lower.py
"""
import random
import sys
import unicodedata

SIGMA, FINAL = "\u03a3", "\u03c2"
POINTS = [c for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]


def ranges(points):
    out = []
    for c in points:
        if out and out[-1][1] == c - 1:
            out[-1][1] = c
        else:
            out.append([c, c])
    return out


def runs(pairs):
    """Groups (code point, delta) with equal deltas at a stride of 1 or 2."""
    out = []
    for c, delta in pairs:
        if out:
            first, last, d, stride = out[-1]
            if d == delta and c - last in ((1, 2) if stride == 0 else (stride,)):
                out[-1] = [first, c, d, c - last]
                continue
        out.append([c, c, delta, 0])
    return [[f, l, d, s or 1] for f, l, d, s in out]


def main():
    lines = [f"python {sys.version.split()[0]} unicode {unicodedata.unidata_version}"]
    single, full, cased, skipped = [], [], [], []
    for c in POINTS:
        low = chr(c).lower()
        if len(low) > 1:
            full.append([c] + [ord(x) for x in low])
        elif ord(low) != c and c != ord(SIGMA):
            single.append((c, ord(low) - c))
        alone = (chr(c) + SIGMA).lower()[-1] == FINAL
        after_letter = ("A" + chr(c) + SIGMA).lower()[-1] == FINAL
        if alone:
            cased.append(c)
        elif after_letter:
            skipped.append(c)
    lines += [f"lower {f:X} {l:X} {d} {s}" for f, l, d, s in runs(single)]
    lines += ["full " + " ".join(f"{x:X}" for x in row) for row in full]
    lines += [f"cased {f:X} {l:X}" for f, l in ranges(cased)]
    lines += [f"skipped {f:X} {l:X}" for f, l in ranges(skipped)]
    lines += [f"unassigned {f:X} {l:X}" for f, l in ranges(c for c in POINTS if unicodedata.category(chr(c)) == "Cn")]
    rng = random.Random(1)
    pool = "AbZ zΣΣσς'.:·-_\u0301\u00ad\u02b0İIıßẞÄéЖ中\U0001F600\u2160\u24b6\u0345Ǆǅ 12"
    texts = ["ΌΔΟΣ ΣΑΣ Σ ΑΣΣ", "ΑΣ'Σ ΑΣ. ΑΣ.Α", "İSTANBUL", "STRASSE ẞ", ""]
    texts += ["".join(rng.choice(pool) for _ in range(rng.randint(1, 24))) for _ in range(400)]
    lines += [f"text {t.encode().hex() or '-'} {t.lower().encode().hex() or '-'}" for t in texts]
    with open(__file__.replace("make_utf8_lower.py", "utf8_lower.txt"), "w") as f:
        f.write("\n".join(lines) + "\n")


main()
