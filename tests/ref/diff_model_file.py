"""Differential check of model/file against the Python package safetensors: do both accept and refuse the same files?

    python diff_model_file.py BUILD/test_model_file [N] [SEED]

Mutates headers (numbers, types, names, structure, lengths) and data of valid files. Ours is stricter on purpose in the ways that
docs/file-format.md lists (rank, names, types, repeated keys, a product that overflows before a dimension of 0); such
differences are counted by kind, any other is printed and fails.
"""
import json
import pathlib
import random
import struct
import subprocess
import sys
import tempfile

from safetensors import deserialize

program, count, seed = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 2000, int(sys.argv[3]) if len(sys.argv) > 3 else 1
rng = random.Random(seed)
SIZES = {"BOOL": 1, "U8": 1, "I8": 1, "U16": 2, "F16": 2, "BF16": 2, "I32": 4, "F32": 4, "F64": 8, "I64": 8}


def valid():
    at, header = 0, {}
    for i in range(rng.randrange(5)):
        dtype = rng.choice(list(SIZES))
        shape = [rng.randrange(4) for _ in range(rng.randrange(4))]
        n = SIZES[dtype]
        for d in shape:
            n *= d
        header[f"t{i}"] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + n]}
        at += n
    if rng.random() < .5:
        header["__metadata__"] = {"k": "v"}
    return header, bytes(at)


def mutate(header, data):
    text = json.dumps(header)
    kind = rng.randrange(9)
    names = [k for k in header if k != "__metadata__"]
    if kind == 0 or not names:
        pass
    elif kind == 1:
        t = header[rng.choice(names)]
        t["data_offsets"][rng.randrange(2)] += rng.choice([-8, -1, 1, 4, 2**40])
        text = json.dumps(header)
    elif kind == 2:
        t = header[rng.choice(names)]
        t["shape"].insert(0, rng.choice([0, 1, 2, -1, 2**32, 2**62, 1.0, "1", None]))
        text = json.dumps(header)
    elif kind == 3:
        header[rng.choice(names)]["dtype"] = rng.choice(["F32", "U8", "X9", "", 3, "F8_E4M3"])
        text = json.dumps(header)
    elif kind == 4:
        del header[rng.choice(names)][rng.choice(["dtype", "shape", "data_offsets"])]
        text = json.dumps(header)
    elif kind == 5:
        items = list(header.items())
        rng.shuffle(items)
        text = json.dumps(dict(items), indent=rng.choice([None, 1]))
    elif kind == 6:
        at = rng.randrange(len(text))
        text = text[:at] + rng.choice(['"', "{", "}", "0", ",", "-", ".", "e", "[", " "]) + text[at + rng.randrange(2):]
    elif kind == 7:
        data = data + b"x" if rng.random() < .5 else data[:-1]
    else:
        name = rng.choice(names)
        text = text[:-1] + ", " + json.dumps(name) + ": " + json.dumps(header[name]) + "}"
    raw = text.encode() + b" " * rng.choice([0, 0, 3])
    n = len(raw) + (rng.choice([-1, 1, 8]) if rng.random() < .05 else 0)
    return struct.pack("<Q", max(n, 0)) + raw + data


def python_accepts(raw):
    try:
        deserialize(raw)
        return True
    except Exception:
        return False


def stricter(raw):
    """The rule that ours has and the reference has not, or None."""
    try:
        n = struct.unpack("<Q", raw[:8])[0]
        repeated = []
        header = json.loads(raw[8:8 + n], object_pairs_hook=lambda p: (repeated.extend(len(p) != len({k for k, _ in p}) and [1] or []), dict(p))[1])
    except Exception:
        return None
    if repeated:
        return "repeated key"
    for name, t in header.items():
        if name == "__metadata__":
            continue
        if name == "" or len(name.encode()) > 4096 or any(ord(c) < 32 or ord(c) == 127 for c in name):
            return "name"
        if len(t) != 3:
            return "unknown field"
        if t["dtype"].startswith("F8") or t["dtype"] in ("F4", "C64"):
            return "type"
        if len(t["shape"]) > 8:
            return "rank"
        n = SIZES.get(t["dtype"], 8)
        for d in t["shape"]:
            n *= d
            if n >= 2**63:
                return "overflow before a 0"
    return None


with tempfile.TemporaryDirectory() as folder:
    files = []
    for i in range(count):
        path = pathlib.Path(folder, f"{i}.safetensors")
        path.write_bytes(mutate(*valid()))
        files.append(path)
    ours = []
    for i in range(0, count, 500):
        result = subprocess.run([program, "accepts", *map(str, files[i:i + 500])], capture_output=True, text=True, check=True)
        ours += [line == "1" for line in (result.stdout + result.stderr).split()]
    assert len(ours) == count, len(ours)
    kinds, bad, both = {}, 0, 0
    for path, mine in zip(files, ours):
        raw = path.read_bytes()
        theirs = python_accepts(raw)
        both += mine and theirs
        if mine == theirs:
            continue
        why = stricter(raw) if theirs else None
        kinds[why] = kinds.get(why, 0) + 1
        if why is None:
            bad += 1
            print("differs: ours", mine, "theirs", theirs, raw[:300])
    print(f"{count} files, accepted by both {both}, stricter by rule {kinds}, unexplained {bad}")
    sys.exit(bad > 0)
