/* SPDX-License-Identifier: MIT */
#include "sim/html/page.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>
#include "sim/html/svg.h"

static const char style[] =
    "html{background:var(--paper);color:var(--ink1);font:15px/1.5 system-ui,sans-serif}\n"
    "body{max-width:62rem;margin:0 auto;padding:1.5rem}\n"
    "h1{font-size:1.5rem;margin:0 0 .5rem}\n"
    "h2{font-size:1.2rem;margin:2.5rem 0 .3rem;border-top:1px solid "
    "var(--ink3);padding-top:1.2rem}\n"
    "h3{font-size:1.02rem;margin:0 0 .2rem;line-height:1.35}\n"
    "p{margin:0 0 .6rem}.below,.read{color:var(--ink2);font-size:.87rem}\n"
    "figure{margin:1.4rem 0;padding:1rem;background:var(--panel);border-radius:6px}\n"
    ".plots{display:flex;flex-wrap:wrap;gap:.4rem 1rem}\n"
    ".plots svg{display:block;flex:0 1 100%;max-width:100%;height:auto}\n"
    ".plots .half{flex-basis:calc(50% - .5rem)}.marks{position:absolute}\n"
    "@media (max-width:40rem){.plots .half{flex-basis:100%}}\n"
    "svg text{font-family:system-ui,sans-serif;white-space:pre;paint-order:stroke;"
    "stroke:var(--panel);stroke-width:3px;stroke-linejoin:round}\n" /* names on lines */
    "details{margin-top:.6rem;font-size:.85rem}summary{cursor:pointer;color:var(--ink2)}\n"
    ".wide{overflow-x:auto;max-height:26rem}\n"
    "table{border-collapse:collapse;margin-top:.4rem;font-variant-numeric:tabular-nums}\n"
    "th,td{padding:.12rem .6rem;text-align:right;border-bottom:1px solid "
    "var(--ink3);white-space:nowrap}\n"
    "th{font-weight:600}.w{text-align:left}\n"
    "@media print{body{max-width:none;padding:0}html{font-size:10pt}\n"
    "figure{background:none;padding:0}.whole{break-inside:avoid}\n"
    "h2{break-before:page;border:0;margin-top:0}h1+h2{break-before:auto}\n"
    ".plots{display:block}svg{break-inside:avoid}.plots .half{display:inline-block;width:49%}\n"
    "tr{break-inside:avoid}.wide{max-height:none;overflow:visible}\n"
    ".wide.half{columns:2;column-gap:8mm}.half table{width:100%}\n"
    "details::details-content{content-visibility:visible;display:block;height:auto}\n"
    "th,td{padding:.05rem .35rem;font-size:7.5pt}}\n"
    "@page{margin:14mm}\n";

enum { HALF_COLUMNS = 6 }; /* a table of so many takes half the width of paper */

void page_begin(struct page *p, const char *title)
{
    fputs("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
          "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
          "<meta name=\"color-scheme\" content=\"light dark\">\n"
          "<meta http-equiv=\"Content-Security-Policy\" "
          "content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">\n"
          "<link rel=\"icon\" href=\"data:,\">\n<title>",
          p->out);
    svg_text(p->out, title);
    fputs("</title>\n<style>\n", p->out);
    svg_style(p->out);
    fputs(style, p->out);
    fputs("</style></head>\n<body>\n", p->out);
    svg_marks(p->out);
    fputs("<h1>", p->out);
    svg_text(p->out, title);
    fputs("</h1>\n", p->out);
}

void page_end(struct page *p)
{
    fputs("</body></html>\n", p->out);
}

void page_section(struct page *p, const char *heading, const char *below)
{
    p->section++;
    fputs("<h2>", p->out);
    svg_text(p->out, heading);
    fputs("</h2>\n<p class=\"below\">", p->out);
    svg_text(p->out, below);
    fputs("</p>\n", p->out);
}

void page_figure(struct page *p, const char *kind, const char *read, const char *title, ...)
{
    va_list args;
    va_start(args, title);
    vsnprintf(p->title, sizeof p->title, title, args);
    va_end(args);
    fprintf(p->out, "<figure class=\"%s\"><div class=\"whole\"><h3>", kind);
    svg_text(p->out, p->title);
    fputs("</h3>\n<p class=\"read\">", p->out);
    svg_text(p->out, read);
    fputs("</p>\n<div class=\"plots\">\n", p->out);
}

void page_figure_end(struct page *p)
{
    fputs("</figure>\n", p->out);
}

void page_plot(struct page *p, struct plot *plot, int width, int height, const char *x,
               const char *y)
{
    snprintf(p->id, sizeof p->id, "p%d", ++p->figures);
    plot_open(plot, p->id, width, height, x, y);
}

void page_draw(struct page *p, struct plot *plot)
{
    struct problem again;
    enum status s =
        plot_write(plot, p->out, p->title, p->status == STATUS_OK ? p->problem : &again);
    if (p->status == STATUS_OK)
        p->status = s;
}

void page_table(struct page *p, const char *columns)
{
    int n = 1;
    for (const char *c = columns; *c != '\0'; c++)
        n += *c == '|';
    fprintf(
        p->out,
        "</div></div>\n<details><summary>Numbers</summary><div class=\"wide%s\"><table><thead><tr>",
        n <= HALF_COLUMNS ? " half" : "");
    while (*columns != '\0') {
        char name[64];
        size_t len = strcspn(columns, "|");
        bool word = *columns == '_'; /* a column of words */
        snprintf(name, sizeof name, "%.*s", (int)(len - word), columns + word);
        fprintf(p->out, "<th%s>", word ? " class=\"w\"" : "");
        svg_text(p->out, name);
        fputs("</th>", p->out);
        columns += len + (columns[len] == '|');
    }
    fputs("</tr></thead><tbody>", p->out);
}

void page_row(struct page *p, const char *word)
{
    fputs("\n<tr>", p->out);
    page_word(p, word);
}

void page_word(struct page *p, const char *word)
{
    fputs("<td class=\"w\">", p->out);
    svg_text(p->out, word);
    fputs("</td>", p->out);
}

void page_cell(struct page *p, double v, const char *format)
{
    char text[48] = "";
    int digits = format[0] - '0'; /* behind the point */
    if (isfinite(v))
        snprintf(text, sizeof text, format[1] == 'g' ? "%.*g" : "%.*f", digits, v);
    fprintf(p->out, "<td>%s</td>", text);
}

void page_table_end(struct page *p)
{
    fputs("</tbody></table></div></details>\n", p->out);
}

void page_cells(struct page *p, struct span v, double unit, const char *format)
{
    page_cell(p, v.mean * unit, format);
    page_cell(p, v.low * unit, format);
    page_cell(p, v.high * unit, format);
}

double page_number(const json_t *o, const char *name)
{
    const json_t *v = json_object_get(o, name);
    return json_is_number(v) ? json_number_value(v) : (double)NAN;
}

struct span page_span(const json_t *o, const char *name)
{
    const json_t *v = json_object_get(o, name);
    if (json_is_number(v))
        return (struct span){json_number_value(v), (double)NAN, (double)NAN};
    return (struct span){page_number(v, "mean"), page_number(v, "low"), page_number(v, "high")};
}

const char *page_string(const json_t *o, const char *name)
{
    const char *s = json_string_value(json_object_get(o, name));
    return s != NULL ? s : "";
}

void range_take(struct range *r, double v)
{
    if (!isfinite(v))
        return;
    r->low = isnan(r->low) || v < r->low ? v : r->low;
    r->high = isnan(r->high) || v > r->high ? v : r->high;
}
