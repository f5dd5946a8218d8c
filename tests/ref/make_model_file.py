"""Fixtures of model/file with the Python package safetensors (0.4 or newer) and numpy.

    python make_model_file.py [BUILD/test_model_file.souk]

Writes python.safetensors (one tensor of each type that numpy has, values 1 to 6), and, when given the file that test_model_file
leaves in the build folder, checks with safetensors that it holds what test_model_file.c put in and keeps it as small_souk.safetensors.
"""
import hashlib
import pathlib
import sys

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

here = pathlib.Path(__file__).parent
types = {"BOOL": "bool", "U8": "uint8", "I8": "int8", "U16": "uint16", "I16": "int16", "F16": "float16", "U32": "uint32",
         "I32": "int32", "F32": "float32", "U64": "uint64", "I64": "int64", "F64": "float64"}
tensors = {name: np.arange(1, 7).reshape(2, 3).astype(t) for name, t in types.items()}
tensors["scalar"] = np.array(2.5, np.float32)
save_file(tensors, here / "python.safetensors", metadata={"format": "np"})

if len(sys.argv) > 1:
    path = pathlib.Path(sys.argv[1])
    with safe_open(path, "numpy") as f:
        assert sorted(f.keys()) == ["asset/words", "opt/m", "state/step", "w/dense/kernel", "w/empty"], f.keys()
        meta = f.metadata()
        assert meta["spec"] == '{"a": "café"}\n' and meta["souk_version"] == "1", meta
        kernel = f.get_tensor("w/dense/kernel")
        assert kernel.dtype == np.float32 and (kernel == np.array([[1, 2, 3], [-4, 5.5, np.float32(1e-30)]], np.float32)).all()
        assert (f.get_tensor("opt/m") == [.1, -.2, 1e300]).all() and f.get_tensor("state/step") == -7
        assert f.get_tensor("asset/words").tobytes() == b"a\0bc\xff" and f.get_tensor("w/empty").shape == (0, 3)
    raw = path.read_bytes()
    digits = meta["checksum"].encode()
    assert raw.count(digits) == 1
    assert hashlib.blake2b(raw.replace(digits, b"0" * 64), digest_size=32).hexdigest().encode() == digits
    (here / "small_souk.safetensors").write_bytes(raw)
    print("small_souk.safetensors: opened with safetensors, checksum equal to hashlib's")
