#!/bin/sh
# check_layers.sh [ROOT] - the include direction: a file in src/LAYER includes only what LAYER's line in tools/layers.txt
# allows, fenced headers are included only behind their fence, and src/cli sees the public header and its own ones only.
# Prints each finding as FILE:LINE, then "N files checked, M findings"; exit status 1 if there is any.
here=$(cd "$(dirname "$0")" && pwd) || exit 2
root=${1:-$(dirname "$here")}
cd "$root" || exit 2
LC_ALL=C
export LC_ALL

files=$(find src -type f \( -name '*.c' -o -name '*.h' -o -name '*.def' \) | sort)
[ -n "$files" ] || { echo "check_layers: no files under $root/src"; exit 2; }

# shellcheck disable=SC2086  # file names have no spaces; check_style insists on it
awk -f "$here/strip_c.awk" $files | awk -v layers="$here/layers.txt" -v count="$(echo "$files" | wc -l)" '
function finding(text) {
    print where ": " text
    findings++
}
# Whether a quoted include of this name is allowed in src/layer.
function check_own(name,   folder) {
    if (name == "souk.h") return
    folder = name
    if (!sub("/.*", "", folder)) {
        if (system("test -f src/" layer "/" name) != 0) finding("include \"" name "\": give the folder, as in \"base/err.h\"")
        return
    }
    if (folder != layer && !((layer, folder) in allowed))
        finding("src/" layer " may not include \"" name "\" (tools/layers.txt)")
}
function check_fence(name,   i, behind) {
    if (!(name in fences)) return
    behind = 0
    for (i = 1; i <= fences[name]; i++)
        if (file == fence[name, i] || (fence[name, i] ~ /\/$/ && index(file, fence[name, i]) == 1)) behind = 1
    if (!behind) finding("<" name "> may only be included by " fence_text[name])
}
BEGIN {
    while ((getline line < layers) > 0) {
        sub(/#.*/, "", line)
        n = split(line, word, " ")
        if (n == 0) continue
        if (word[1] == "fence") {
            fences[word[2]] = n - 2
            for (i = 3; i <= n; i++) {
                fence[word[2], i - 2] = word[i]
                fence_text[word[2]] = fence_text[word[2]] (i > 3 ? ", " : "") word[i]
            }
            continue
        }
        if (word[1] !~ /:$/) { print "tools/layers.txt: cannot read: " line; findings++; continue }
        name = substr(word[1], 1, length(word[1]) - 1)
        known[name] = 1
        for (i = 2; i <= n; i++) allowed[name, word[i]] = 1
    }
}
{
    split($0, part, ":")
    file = part[1]
    where = file ":" part[2]
    split(file, folder, "/")
    layer = folder[2]
    if (part[2] == 1 && !(layer in known)) finding("src/" layer " has no line in tools/layers.txt")
    code = substr($0, length(where) + 2)
    if (code !~ /^[ \t]*#[ \t]*include[ \t]*["<]/) next
    own = code ~ /^[ \t]*#[ \t]*include[ \t]*"/
    sub(/^[ \t]*#[ \t]*include[ \t]*["<]/, "", code)
    sub(/[">].*/, "", code)
    if (own) check_own(code)
    check_fence(code)
}
END {
    print count " files checked, " findings + 0 " findings"
    exit findings > 0
}'
