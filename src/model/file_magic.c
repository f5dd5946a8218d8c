/* file_magic - formats that people hand over as a model by mistake, known by their first bytes.
 *
 * They are refused before anything in them is parsed: a pickle runs code when it is loaded, and the others need a
 * converter. The message says what the file is and what turns it into something that can be read. One row a format; the
 * first match counts. */
#include <string.h>

#include "model/file_internal.h"

typedef struct magic {
    size_t offset;
    const char *bytes;
    size_t n;
    const char *what, *hint;
} magic;

#define TORCH_HINT                                                                       \
    "convert it where it is trusted: python -c \"import torch, safetensors.torch as s; " \
    "s.save_file(torch.load('IN', weights_only=True), 'OUT.safetensors')\""
#define KERAS_HINT "in Python, load it with Keras and save each weight with safetensors.numpy.save_file"
#define SPEC_HINT \
    "that is a model's description, not a trained model: souk train DATA --config FILE --out NAME.souk makes one"

static const magic formats[] = {
    {0, "\x80\x02", 2, "a Python pickle, which can run code when it is read", TORCH_HINT},
    {0, "\x80\x03", 2, "a Python pickle, which can run code when it is read", TORCH_HINT},
    {0, "\x80\x04", 2, "a Python pickle, which can run code when it is read", TORCH_HINT},
    {0, "\x80\x05", 2, "a Python pickle, which can run code when it is read", TORCH_HINT},
    {30, "metadata.json", 13, "a Keras 3 archive", KERAS_HINT},
    {30, "config.json", 11, "a Keras 3 archive", KERAS_HINT},
    {0, "PK\x03\x04", 4, "a zip archive (PyTorch's .pt files are, with a pickle inside)", TORCH_HINT},
    {0, "\x89HDF\r\n\x1a\n", 8, "an HDF5 file (Keras' .h5)", KERAS_HINT},
    {0, "GGUF", 4, "a GGUF file", "export its weights as safetensors with the tool that made it"},
    {0, "tjgg", 4, "an old GGML file", "export its weights as safetensors with the tool that made it"},
    {4, "TFL3", 4, "a TensorFlow Lite model", "convert the model that it was made from"},
    {0, "\x93NUMPY", 6, "a NumPy array",
     "in Python: safetensors.numpy.save_file({'name': numpy.load('IN', allow_pickle=False)}, 'OUT.safetensors')"},
    {0, "SQLite format 3", 15, "an SQLite database", "it is data: souk train sqlite:FILE --table T"},
    {0, "\x1f\x8b", 2, "compressed with gzip", "unpack it first: gunzip FILE"},
    {0, "\x28\xb5\x2f\xfd", 4, "compressed with zstd", "unpack it first: zstd -d FILE"},
    {0, "version https://git-lfs", 23, "a Git LFS pointer, not the file itself", "fetch the file: git lfs pull"},
    {0, "<!DOCTYPE", 9, "a web page, probably a failed download", "download the file again"},
    {0, "<html", 5, "a web page, probably a failed download", "download the file again"},
    {0, "{", 1, "JSON text", SPEC_HINT},
    {0, "input_features:", 15, "YAML text", SPEC_HINT},
};

bool file_foreign(const unsigned char *bytes, size_t n, const char **what, const char **hint) {
    /* A header under 4 GiB followed by its brace: the length's low bytes may look like anything. */
    static const unsigned char zeros[4];
    if (n > FILE_PREFIX && memcmp(bytes + 4, zeros, sizeof zeros) == 0 && bytes[FILE_PREFIX] == '{') return false;
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        const magic *m = &formats[i];
        if (n < m->offset + m->n || memcmp(bytes + m->offset, m->bytes, m->n) != 0) continue;
        if (m->offset == 30 && memcmp(bytes, "PK\x03\x04", 4) != 0) continue; /* the name of a zip's first entry */
        *what = m->what;
        *hint = m->hint;
        return true;
    }
    return false;
}
