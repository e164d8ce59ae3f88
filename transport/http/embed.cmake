# SPDX-License-Identifier: MIT
# Writes file FROM as a C array NAME, its length NAME_n and an ETag NAME_tag to file TO.
file(READ ${FROM} bytes HEX)
file(SHA256 ${FROM} tag)
string(SUBSTRING ${tag} 0 16 tag)
string(LENGTH "${bytes}" digits)
math(EXPR n "${digits} / 2")
string(REGEX REPLACE "(................................)" "\\1\n" bytes "${bytes}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "'\\\\x\\1'," bytes "${bytes}")
file(WRITE ${TO} "#include <stddef.h>
extern const char ${NAME}[];
extern const size_t ${NAME}_n;
extern const char ${NAME}_tag[];
const char ${NAME}[] = {
${bytes}0};
const size_t ${NAME}_n = ${n};
const char ${NAME}_tag[] = \"\\\"${tag}\\\"\";
")
