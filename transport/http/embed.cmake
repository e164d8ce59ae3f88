# SPDX-License-Identifier: MIT
# Writes file FROM as a C array NAME, and its length NAME_n, to file TO.
file(READ ${FROM} bytes HEX)
string(LENGTH "${bytes}" digits)
math(EXPR n "${digits} / 2")
string(REGEX REPLACE "(................................)" "\\1\n" bytes "${bytes}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
file(WRITE ${TO} "#include <stddef.h>
extern const char ${NAME}[];
extern const size_t ${NAME}_n;
const char ${NAME}[] = {
${bytes}0};
const size_t ${NAME}_n = ${n};
")
