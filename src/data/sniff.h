/* sniff - format, delimiter and header of a table from its name and its first 256 KiB.
 *
 * The name decides where it can (.csv .tsv .jsonl, also before .gz or .zst); .txt and standard input are judged by
 * content: JSON Lines if the first line is an object; else the delimiter among TAB ; | , that cuts at least 9 of 10
 * rows into the same number of fields (commas that are mostly followed by a space are punctuation); else columns of
 * mostly numbers between spaces; else plain lines. .csv takes the delimiter that cuts most evenly, and a comma when
 * none does. Header: yes if some column is all numbers below a first cell that is none; no if a cell of the first row
 * is a number, empty cells and a repeated name aside, or a word that comes back below in its column; else if all its
 * cells look like names. */
#ifndef SOUK_DATA_SNIFF_H
#define SOUK_DATA_SNIFF_H

#include "data/table.h"

enum { SNIFF_BYTES = 256 * 1024 };

typedef struct sniffed {
    table_format format; /* never AUTO */
    char delimiter;
    bool header;
} sniffed;

/* text[0..n) is the start of the file behind a byte order mark, 64 more bytes readable; `complete`: the whole file. */
souk_status sniff(const char *path, const char *text, size_t n, bool complete, const table_options *options,
                  sniffed *out, souk_error *err);
/* UTF-16 by its mark or by the pattern of NUL bytes, and other NUL bytes: SOUK_INPUT with the command that converts. */
souk_status sniff_encoding(const char *path, const char *text, size_t n, souk_error *err);

#endif
