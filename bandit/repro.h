/* SPDX-License-Identifier: MIT */
#ifndef PURSER_BANDIT_REPRO_H
#define PURSER_BANDIT_REPRO_H

/*
 * Exponential and logarithm from + - * / and bit moves only, so that state which depends on them
 * is bit-identical on every CPU and C library (libm is not: it picks FMA variants at run time).
 * Relative error of repro_exp2/exp and absolute error of repro_log2/log: below 1e-13.
 */

/* repro_exp2 gives 2^x for any finite x; underflows to 0 below -1022, saturates at 2^1023. */
double repro_exp2(double x);
/* repro_log2 gives log2(x) for finite normal x > 0; for x below 2.3e-308 gives -1022. */
double repro_log2(double x);
/* repro_exp gives e^x, repro_log gives ln(x), with the ranges of the two above. */
double repro_exp(double x);
double repro_log(double x);
/* repro_exps replaces the first `natural` of n <= REPRO_MOST numbers by e^x and the others by 2^x,
 * repro_logs numbers by their ln: the same bits as one by one, sooner. */
enum { REPRO_MOST = 8 };
void repro_exps(double *v, int natural, int n);
void repro_logs(double *v, int n);

#endif
