/* SPDX-License-Identifier: MIT */
#ifndef PURSER_BANDIT_RIDGE_CLONES_H
#define PURSER_BANDIT_RIDGE_CLONES_H

/*
 * WIDE_CLONES before a function has it compiled once for plain x86-64 and once for each wider
 * vector unit, and the loader choose. All give the same bits: each element goes through the same
 * operations in the same order, and nothing is contracted (-ffp-contract=off), whatever the width.
 * Not where the compiler cannot (clang resolves clones differently) or must not: sanitizers are not
 * ready when the loader asks.
 */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) &&                             \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define WIDE_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define WIDE_CLONES
#endif

#endif
