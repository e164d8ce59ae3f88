/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_HTML_SVG_H
#define PURSER_SIM_HTML_SVG_H

#include <stdbool.h>
#include <stdio.h>

/* svg_write copies gnuplot's SVG as an element of a page: without declaration and definitions (the
 * page has them once: svg_marks), colours of plot.h's inks as CSS variables; half: two stand side
 * by side where there is room. */
void svg_write(FILE *out, const char *svg, const char *id, const char *title, bool half);
/* svg_marks writes the points that drawings refer to. */
void svg_marks(FILE *out);
/* svg_style writes the variables, light and dark. */
void svg_style(FILE *out);
/* svg_text writes text into HTML: no markup of its own. */
void svg_text(FILE *out, const char *text);

#endif
