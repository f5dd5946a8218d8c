"""Hard decimal texts and doubles; Python's float() and repr() are correctly rounded and shortest. Writes num.txt.

Lines: "read TEXT BITS"  the text's nearest double as 16 hex digits
       "write BITS TEXT" the double's shortest text, as repr but without ".0"
       "write32 BITS TEXT" the same for a float, 8 hex digits; numpy's digits
Run with numpy: python make_num.py
"""
import random
import struct
from decimal import Decimal

import numpy as np


def bits(v):
    return struct.pack(">d", v).hex()


def short(text):
    return text[:-2] if text.endswith(".0") else text


def float_text(v):
    """numpy's shortest digits of a float32 in the layout of Python's repr; whole numbers below 1e15 in full."""
    if abs(v) < 1e15 and float(v).is_integer():
        return "-0" if v == 0 and np.signbit(v) else str(int(v))
    return short(repr(float(np.format_float_scientific(np.float32(v), unique=True))))


def main():
    rng = random.Random(7)
    texts = ["0", "-0", "+0.0", "1.", ".5", "1e22", "1e23", "9007199254740993", "9007199254740992.5", "9007199254740993.0000000001",
             "2.2250738585072011e-308", "2.2250738585072014e-308", "5e-324", "2.4703282292062327e-324", "2.4703282292062328e-324",
             "1.7976931348623157e308", "179769313486231580793728971405303415079934132710037826936173778980444968292764750946649017977587207096330286416692887910946555547851940402630657488671505820681908902000708383676273854845817711531764475730270069855571366959622842914819860834936475292719074168444365510704342711559699508093042880",
             "0.000000000000000000000000000000000000000000000000000000000000000000000001", "18446744073709551615", "18446744073709551616",
             "1234567890123456789012345678901234567890", "6929495644600919.5", "3.5844466002796428e298", "000000000000000000000000000001.5",
             "0.1e1", "123456789012345678e-27", "1e-27", "1e27", "12345678901234567e27", "1e-400", "0e999"]
    for _ in range(700):
        digits = rng.randint(1, 25)
        text = str(rng.randint(0, 10 ** digits))
        if rng.random() < 0.7:
            at = rng.randint(0, len(text))
            text = text[:at] + "." + text[at:]
        if rng.random() < 0.5:
            text += "e" + str(rng.randint(-40, 40) if rng.random() < 0.8 else rng.randint(-300, 280))
        texts.append(("-" if rng.random() < 0.3 else "") + text)
    for _ in range(120):  # halfway between two doubles, and a hair beside it
        a = rng.uniform(0.5, 2) * 2.0 ** rng.randint(-40, 60)
        half = (Decimal(a) + Decimal(float(np.nextafter(a, 1e300)))) / 2
        texts.append(format(half, "f"))
        texts.append(format(half, "f") + ("" if "." in format(half, "f") else ".") + "00001")
    with open(__file__.replace("make_num.py", "num.txt"), "w") as f:
        for t in texts:
            f.write(f"read {t} {bits(float(t))}\n")
        values = [2.0 ** k for k in range(-1074, 1024, 5)] + [0.1, 0.3, 1e15, 1e16, 1e17, 123456.789, 5e-324, 1e21, 1e22, 1e23, 1e-5, 1e-4, 0.00012345]
        values += [struct.unpack(">d", struct.pack(">Q", rng.getrandbits(64)))[0] for _ in range(500)]
        values += [round(rng.uniform(-1e6, 1e6), rng.randint(0, 6)) for _ in range(200)] + [rng.random() for _ in range(250)]
        for v in values:
            if v == v and abs(v) != float("inf"):
                f.write(f"write {bits(v)} {short(repr(v))}\n")
        singles = [np.float32(rng.random()) for _ in range(250)] + [np.float32(2.0 ** k) for k in range(-140, 128)]
        singles += [np.float32(rng.uniform(-1e6, 1e6)) for _ in range(200)]
        singles += [np.frombuffer(struct.pack("<I", rng.getrandbits(31)), dtype="<f4")[0] for _ in range(300)]
        for v in singles:
            if np.isfinite(v):
                f.write(f"write32 {struct.pack('>f', v).hex()} {float_text(v)}\n")


main()
