# strip_c.awk - prints C files as "FILE:LINE:CODE" with comments removed and the contents of strings and character
# constants emptied, so that a word in a message is no finding. #include lines keep their name. Works in any awk.

FNR == 1 { in_comment = 0 }

{
    rest = $0
    code = ""
    include = !in_comment && rest ~ /^[ \t]*#[ \t]*include/
    while (rest != "") {
        if (in_comment) {
            at = index(rest, "*/")
            if (at == 0) break
            in_comment = 0
            rest = " " substr(rest, at + 2)
            continue
        }
        at = include ? match(rest, /\/\*|\/\//) : match(rest, /\/\*|\/\/|"|'/)
        if (at == 0) {
            code = code rest
            break
        }
        code = code substr(rest, 1, at - 1)
        mark = substr(rest, at, RLENGTH)
        rest = substr(rest, at + RLENGTH)
        if (mark == "//") break
        if (mark == "/*") {
            in_comment = 1
            continue
        }
        # A string or constant: skip to its end. An apostrophe inside a number (1'000) does not occur in C17.
        pattern = mark == "\"" ? "^([^\"\\\\]|\\\\.)*\"" : "^([^'\\\\]|\\\\.)*'"
        if (match(rest, pattern)) rest = substr(rest, RLENGTH + 1)
        else rest = ""
        code = code mark mark
    }
    print FILENAME ":" FNR ":" code
}
