#!/bin/sh
# check_style.sh [ROOT] - the house rules that a script can check: banned calls, line length, an opening comment in every
# file under src, unique file names, no flags that change arithmetic. Comments and strings are not looked at.
# Prints each finding as FILE:LINE, then the ten longest files and functions (to be read, not enforced), then
# "N files checked, M findings"; exit status 1 if there is any.
here=$(cd "$(dirname "$0")" && pwd) || exit 2
root=${1:-$(dirname "$here")}
cd "$root" || exit 2
LC_ALL=C
export LC_ALL

folders=
for f in src include tests fuzz bench examples; do [ -d "$f" ] && folders="$folders $f"; done
# shellcheck disable=SC2086
files=$(find $folders -path tests/ref -prune -o -type f \( -name '*.c' -o -name '*.h' -o -name '*.def' \) -print | sort)
[ -n "$files" ] || { echo "check_style: no C files under $root"; exit 2; }
builds=$(find . -maxdepth 3 \( -name build -o -name '.git' -o -name ref \) -prune -o -type f \
    \( -name CMakeLists.txt -o -name '*.cmake' -o -name 'CMakePresets.json' -o -name '*.pc.in' -o -name run -o -name test \) -print | sort)
report=$(mktemp) || exit 2
trap 'rm -f "$report"' EXIT

# 1. Names: unique in the tree, and plain.
echo "$files" | awk '
{ name = $0; sub(/.*\//, "", name) }
name !~ /^[A-Za-z0-9_.-]+$/ { print $0 ": file names hold letters, digits, _ and - only" }
name in seen { print $0 ": a file of this name exists already: " seen[name] }
{ seen[name] = $0 }' >> "$report"

# 2. Raw text: line length in characters, no tabs, the opening comment.
# shellcheck disable=SC2086
awk '
{ text = $0; gsub(/[\200-\277]/, "", text) }
length(text) > 120 && FILENAME !~ /\.def$/ { print FILENAME ":" FNR ": " length(text) " characters in a line (120 at most)" }
/\t/ { print FILENAME ":" FNR ": a tab (indent by four spaces)" }
FNR == 1 && FILENAME ~ /^(src|include)\// && $0 !~ /^\/\*/ { print FILENAME ":1: a file opens with a comment that says what it does" }
' $files >> "$report"

# 3. Calls. `ban NAMES, WHERE, WHY`: a path matching WHERE may use them.
# shellcheck disable=SC2086
awk -f "$here/strip_c.awk" $files | awk '
function ban(names, except, why,   n, i, word) {
    n = split(names, word, " ")
    for (i = 1; i <= n; i++) { reason[word[i]] = why; allowed[word[i]] = except }
}
BEGIN {
    ban("strcpy strcat sprintf vsprintf gets stpcpy", "", "writes without a bound (buf, snprintf or memcpy)")
    ban("atoi atol atoll atof", "", "takes anything for a number (num_parse_int64, num_parse_double)")
    ban("strtod strtof strtold strtod_l scanf", "^src/(base/num\\.c|cli/)", "follows the locale (num_parse_double)")
    ban("rand srand random drand48", "", "has hidden state (rng)")
    ban("setlocale localeconv strtok longjmp setjmp system", "", "reaches beyond the caller")
    ban("exit _exit abort printf vprintf fprintf vfprintf puts putchar fputs perror", "^src/cli/", "belongs to the program, not to the library")
    ban("malloc calloc realloc free aligned_alloc posix_memalign strdup strndup asprintf vasprintf", "^src/base/mem\\.c$", "goes round the counters and the fault hook (mem)")
    ban("open openat creat read pread write pwrite fsync unlink rename fopen fdopen fread fwrite fclose", "^src/(base/fs\\.c$|cli/)", "goes round the file hooks (fs)")
}
!/^src\// { next }
{
    split($0, part, ":")
    code = substr($0, length(part[1]) + length(part[2]) + 3)
    # Members (x->free, x.read) are other functions; so is the name in a declaration of a function pointer.
    while (match(code, /[A-Za-z_][A-Za-z0-9_]*[ \t]*\(/)) {
        before = RSTART > 1 ? substr(code, RSTART - 1, 1) : ""
        name = substr(code, RSTART, RLENGTH)
        sub(/[ \t]*\($/, "", name)
        code = substr(code, RSTART + RLENGTH)
        if (before == "." || before == ">" || !(name in reason)) continue
        if (allowed[name] != "" && part[1] ~ allowed[name]) continue
        print part[1] ":" part[2] ": " name "() " reason[name]
    }
}' >> "$report"

# 4. Flags that change results from machine to machine.
# shellcheck disable=SC2086
[ -z "$builds" ] || awk '
{ sub(/#.*/, "") }
/-march=native|-mtune=native|-ffast-math|-Ofast|-funsafe-math/ { print FILENAME ":" FNR ": a flag that changes results (STYLE section 6)" }' $builds >> "$report"

# The longest files and functions of src.
sources=$(echo "$files" | grep '^src/')
echo "longest files:"
# shellcheck disable=SC2086
awk '{ lines[FILENAME]++ } END { for (f in lines) printf "%6d %s\n", lines[f], f }' $sources | sort -rn | head -10
echo "longest functions:"
# shellcheck disable=SC2086
awk '
FNR == 1 { start = 0 }
/^[A-Za-z_].*\)[ \t]*\{[ \t]*$/ || (/^[ \t].*\)[ \t]*\{[ \t]*$/ && pending) { start = pending ? pending : FNR; title = pending ? pending_title : $0; pending = 0; next }
/^[A-Za-z_].*[(,][^;{]*$/ { pending = FNR; pending_title = $0; next }
/^[^ \t]/ || /;/ { pending = 0 }
/^}/ && start {
    name = title
    sub(/\(.*/, "", name)
    sub(/.*[ *]/, "", name)
    printf "%6d %s:%d %s\n", FNR - start + 1, FILENAME, start, name
    start = 0
}' $sources | sort -rn | head -10

cat "$report"
findings=$(wc -l < "$report")
echo "$(echo "$files" | wc -l) files checked, $((findings)) findings"
[ "$findings" -eq 0 ]
