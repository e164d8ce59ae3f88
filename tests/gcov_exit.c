/* SPDX-License-Identifier: MIT */
/* A build for gcov: who ends by _exit has its branches counted too. Linked with --wrap=_exit,
 * perhaps more than once into one program, hence weak. */
extern void __gcov_dump(void);
_Noreturn void __real__exit(int code);
_Noreturn void __wrap__exit(int code);

__attribute__((weak)) _Noreturn void __wrap__exit(int code)
{
    __gcov_dump();
    __real__exit(code);
}
