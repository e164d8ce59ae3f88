/* SPDX-License-Identifier: MIT */
#include "sim/html/svg.h"

#include <stdlib.h>
#include <string.h>
#include "sim/html/plot.h"

/* Colours of the inks on a light and on a dark ground: series after Okabe and Ito (told apart with
 * any colour vision), darkened or lightened until text in them has a contrast of 4.5 and more. */
static const struct {
    const char *light, *dark;
} inks[INK_SERIES + SERIES_INKS] = {
    [INK_TEXT] = {"#1f2328", "#e6e8eb"},       [INK_AXIS] = {"#6b7280", "#9aa2ad"},
    [INK_GRID] = {"#e3e6ea", "#2f353d"},       [INK_GOOD] = {"#0072b2", "#56b4e9"},
    [INK_LEVEL] = {"#9fcbe5", "#2b5876"},      [INK_BAD] = {"#d55e00", "#e8833a"},
    [INK_SERIES] = {"#0068a3", "#5fbcf0"},     [INK_SERIES + 1] = {"#c24e00", "#ff9a57"},
    [INK_SERIES + 2] = {"#007a59", "#37c89d"}, [INK_SERIES + 3] = {"#a6478a", "#e493c8"},
    [INK_SERIES + 4] = {"#8a6500", "#f0cb4e"}, [INK_SERIES + 5] = {"#4a5568", "#c3cad4"},
    [INK_SERIES + 6] = {"#7a3db8", "#bd97f0"}, [INK_SERIES + 7] = {"#a3303b", "#ff8f96"},
};

void svg_style(FILE *out)
{
    for (int dark = 0; dark < 2; dark++) {
        fputs(dark ? "@media screen and (prefers-color-scheme: dark){:root{" : ":root{", out);
        for (int i = 0; i < INK_SERIES + SERIES_INKS; i++)
            fprintf(out, "--ink%d:%s;", i + 1, dark ? inks[i].dark : inks[i].light);
        fputs(dark ? "--paper:#15181c;--panel:#1c2026}}\n" : "--paper:#fff;--panel:#f6f7f9}\n",
              out);
    }
}

void svg_text(FILE *out, const char *text)
{
    for (const char *s = text; *s != '\0'; s++) {
        switch (*s) {
        case '&':
            fputs("&amp;", out);
            break;
        case '<':
            fputs("&lt;", out);
            break;
        case '>':
            fputs("&gt;", out);
            break;
        case '"':
            fputs("&quot;", out);
            break;
        case '\'':
            fputs("&#39;", out);
            break;
        default:
            fputc(*s, out);
        }
    }
}

void svg_marks(FILE *out)
{
    fputs(
        "<svg width=\"0\" height=\"0\" aria-hidden=\"true\" class=\"marks\"><defs>"
        "<circle id=\"gpPt5\" stroke-width=\"0.3\" stroke=\"currentColor\" fill=\"none\" r=\"1\"/>"
        "<circle id=\"gpPt6\" fill=\"currentColor\" stroke=\"none\" r=\"1\"/>"
        "<rect id=\"gpPt4\" x=\"-1\" y=\"-1\" width=\"2\" height=\"2\" fill=\"currentColor\" "
        "stroke=\"none\"/>"
        "<path id=\"gpPt8\" d=\"M0,-1.33 L-1.33,0.67 L1.33,0.67 z\" fill=\"currentColor\" "
        "stroke=\"none\"/>"
        "<rect id=\"gpPt12\" x=\"-1\" y=\"-1\" width=\"2\" height=\"2\" fill=\"currentColor\" "
        "stroke=\"none\" transform=\"rotate(45)\"/>"
        "</defs></svg>\n",
        out);
}

/* "rgb(1,1,7)", with blanks as gnuplot likes it: the variable of ink 6. Gives the end, NULL if it
 * is another colour. */
static const char *ink_at(const char *s, int *ink)
{
    char *end;
    if (strncmp(s, "rgb(", 4) != 0 || strtol(s + 4, &end, 10) != 1 || *end != ',' ||
        strtol(end + 1, &end, 10) != 1 || *end != ',')
        return NULL;
    *ink = (int)strtol(end + 1, &end, 10);
    return *end == ')' && *ink >= 1 && *ink <= INK_SERIES + SERIES_INKS ? end + 1 : NULL;
}

static void body(FILE *out, const char *s, const char *end)
{
    static const char black[] = "\"black\"", grey[] = "\"gray\"", white[] = "'white'";
    while (s < end) {
        int ink = 0;
        const char *next = *s == 'r' ? ink_at(s, &ink) : NULL;
        if (next != NULL) {
            fprintf(out, "var(--ink%d)", ink);
            s = next;
        } else if (strncmp(s, black, sizeof black - 1) == 0) {
            fprintf(out, "\"var(--ink%d)\"", INK_TEXT + 1);
            s += sizeof black - 1;
        } else if (strncmp(s, grey, sizeof grey - 1) == 0) {
            fprintf(out, "\"var(--ink%d)\"", INK_GRID + 1);
            s += sizeof grey - 1;
        } else if (strncmp(s, white, sizeof white - 1) == 0) {
            fputs("'var(--panel)'", out);
            s += sizeof white - 1;
        } else if (strncmp(s, " id=\"gnuplot_canvas\"", 20) == 0) {
            s += 20;
        } else {
            fputc(*s++, out);
        }
    }
}

void svg_write(FILE *out, const char *svg, const char *id, const char *title, bool half)
{
    const char *box = strstr(svg, "viewBox="), *from = strstr(svg, "<g id=\"gnuplot_canvas\""),
               *end = strstr(svg, "</svg>"), *defs = strstr(svg, "<defs>");
    const char *after = defs != NULL ? strstr(defs, "</defs>") : NULL;
    if (box == NULL || from == NULL || end == NULL)
        return;
    fprintf(out, "<svg id=\"%s\" class=\"plot%s\" role=\"img\" aria-labelledby=\"%s-t\" ", id,
            half ? " half" : "", id);
    fwrite(box, 1, strcspn(box, "\n"), out);
    fprintf(out,
            " xmlns=\"http://www.w3.org/2000/svg\" xmlns:xlink=\"http://www.w3.org/1999/xlink\">"
            "<title id=\"%s-t\">",
            id);
    svg_text(out, title);
    fputs("</title>\n", out);
    body(out, from, after != NULL ? defs : end);
    if (after != NULL)
        body(out, after + strlen("</defs>"), end);
    fputs("</svg>\n", out);
}
