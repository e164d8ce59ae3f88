/* SPDX-License-Identifier: MIT */
/*
 * Logs of decisions from one format into another. Rows keep their order. Numbers are written so
 * that they are read back to the same bits.
 */
#include "sim/ope/convert.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "sim/background.h"
#include "sim/options.h"
#include "sim/sheet.h"
#include "store/whole.h"

enum { OBP_SEGMENTS = 3 };
static const char *const label_name[AIM_UTILITY] = {"quality", "cost_usd", "latency_ms", "failure"};

static const char *name_of(const struct names *names, uint32_t i)
{
    return i < names->n ? names->name[i] : "";
}

/* Sessions that a log does not name get numbers of their own, which are not names. */
static const char *session_of(const struct ope_rows *r, size_t i)
{
    return name_of(&r->units, r->unit[i]);
}

static bool has_label(const struct ope_rows *r, int aim)
{
    bool any = false;
    for (size_t i = 0; i < r->n && !any; i++)
        any = !isnan(r->label[aim][i]);
    return any;
}

static void iso_time(char out[40], int64_t ms, const char *between)
{
    time_t s = (time_t)(ms / 1000);
    struct tm tm;
    char day[16], clock[16];
    gmtime_r(&s, &tm);
    strftime(day, sizeof day, "%Y-%m-%d", &tm);
    strftime(clock, sizeof clock, "%H:%M:%S", &tm);
    snprintf(out, 40, "%s%s%s.%03d", day, between, clock, (int)(ms % 1000));
}

/* The number of an arm: its name where all names are numbers from `first` on, else its place. */
static json_int_t number_of(const struct ope_rows *r, size_t arm, json_int_t first)
{
    json_int_t number = 0;
    for (size_t a = 0; a < r->arms.n; a++) {
        char *end;
        long long v = strtoll(r->arms.name[a], &end, 10);
        if (end == r->arms.name[a] || *end != '\0' || v < first)
            return (json_int_t)arm + first;
        number = a == arm ? v : number;
    }
    return number;
}

/* ---- CSV, ours ---- */

static void per_arm(struct sheet *s, const struct ope_rows *r, const char *prefix, char *room)
{
    for (size_t a = 0; a < r->arms.n; a++, room += 2 * NAME_CAP) {
        snprintf(room, 2 * NAME_CAP, "%s%s", prefix, r->arms.name[a]);
        sheet_column(s, room);
    }
}

static void csv_header(struct sheet *s, const struct ope_rows *r, const bool label[], char *room)
{
    static const char *const plain[] = {"arm", "p", "session", "time", "tenant", "task", "group"};
    sheet_columns(s, plain, sizeof plain / sizeof *plain);
    for (int a = 0; a < AIM_UTILITY; a++)
        if (label[a])
            sheet_column(s, label_name[a]);
    if (r->has_pmf)
        per_arm(s, r, "pmf_", room);
    room += r->arms.n * 2 * NAME_CAP;
    if (r->has_given)
        per_arm(s, r, "pi_", room);
    room += r->arms.n * 2 * NAME_CAP;
    if (r->has_q[AIM_QUALITY])
        per_arm(s, r, "q_", room);
    room += r->arms.n * 2 * NAME_CAP;
    for (int j = 0; j < r->d; j++, room += 16) {
        snprintf(room, 16, "x_%d", j);
        sheet_column(s, room);
    }
}

static void csv_row(struct sheet *s, const struct ope_rows *r, const bool label[], size_t i)
{
    size_t at = i * (size_t)r->k;
    char time[40] = "";
    if (r->time_ms[i] > 0)
        iso_time(time, r->time_ms[i], "T");
    sheet_text(s, name_of(&r->arms, r->arm[i]));
    sheet_number(s, r->p[i]);
    sheet_text(s, session_of(r, i));
    sheet_text(s, time);
    for (int k = 0; k < SEG_WEEK; k++)
        sheet_text(s, name_of(&r->segment[k], r->seg[k][i]));
    for (int a = 0; a < AIM_UTILITY; a++)
        if (label[a])
            sheet_number(s, r->label[a][i]);
    for (size_t a = 0; r->has_pmf && a < r->arms.n; a++)
        sheet_number(s, r->pmf[at + a]);
    for (size_t a = 0; r->has_given && a < r->arms.n; a++)
        sheet_number(s, r->given[at + a]);
    for (size_t a = 0; r->has_q[AIM_QUALITY] && a < r->arms.n; a++)
        sheet_number(s, (double)r->q[AIM_QUALITY][at + a]);
    for (int j = 0; j < r->d; j++)
        sheet_number(s, (double)r->x[i * (size_t)r->d + (size_t)j]);
}

static enum status write_csv(const struct ope_rows *r, FILE *f, struct problem *problem)
{
    bool label[AIM_UTILITY];
    struct sheet s = {.f = f};
    size_t columns = 11 + 3 * r->arms.n + (size_t)r->d;
    if (columns > SHEET_COLUMNS_MAX)
        return problem_set(problem, STATUS_BAD_REQUEST, "",
                           "%zu columns, %d are allowed: take jsonl", columns, SHEET_COLUMNS_MAX);
    char *room = malloc(r->arms.n * 6 * NAME_CAP + (size_t)r->d * 16 + 1);
    if (room == NULL)
        return problem_set(problem, STATUS_UNAVAILABLE, "", "out of memory");
    for (int a = 0; a < AIM_UTILITY; a++)
        label[a] = has_label(r, a);
    csv_header(&s, r, label, room);
    for (size_t i = 0; i < r->n; i++)
        csv_row(&s, r, label, i);
    free(room);
    return STATUS_OK;
}

/* ---- Open Bandit Pipeline's: arms are numbers from 0, segments are categories ---- */

static enum status write_obp(const struct ope_rows *r, FILE *f)
{
    static const char *const column[] = {"timestamp",      "item_id",          "position",
                                         "click",          "propensity_score", "user_feature_0",
                                         "user_feature_1", "user_feature_2"};
    struct sheet s = {.f = f};
    sheet_columns(&s, column, sizeof column / sizeof *column);
    for (size_t i = 0; i < r->n; i++) {
        char time[40] = "";
        if (isnan(r->label[AIM_QUALITY][i]))
            continue;
        if (r->time_ms[i] > 0) {
            iso_time(time, r->time_ms[i], " ");
            strcat(time, "+00:00");
        }
        sheet_text(&s, time);
        sheet_count(&s, number_of(r, r->arm[i], 0));
        sheet_count(&s, 1);
        sheet_number(&s, r->label[AIM_QUALITY][i]);
        sheet_number(&s, r->p[i]);
        for (int k = 0; k < OBP_SEGMENTS; k++)
            sheet_text(&s, name_of(&r->segment[k], r->seg[k][i]));
    }
    return STATUS_OK;
}

/* ---- JSON lines ---- */

static json_t *by_arm(const struct ope_rows *r, const double *v)
{
    json_t *o = json_object();
    for (size_t a = 0; a < r->arms.n; a++)
        json_object_set_new(o, r->arms.name[a], json_real(v[a]));
    return o;
}

static void set_text(json_t *o, const char *key, const char *value)
{
    if (value[0] != '\0')
        json_object_set_new(o, key, json_string(value));
}

static json_t *own_row(const struct ope_rows *r, size_t i)
{
    const size_t at = i * (size_t)r->k;
    json_t *o = json_pack("{s:s,s:f}", "arm", name_of(&r->arms, r->arm[i]), "p", r->p[i]);
    double q[MODELS_MAX];
    for (int a = 0; a < AIM_UTILITY; a++)
        if (!isnan(r->label[a][i]))
            json_object_set_new(o, label_name[a], json_real(r->label[a][i]));
    if (r->has_pmf)
        json_object_set_new(o, "pmf", by_arm(r, r->pmf + at));
    if (r->has_given)
        json_object_set_new(o, "pi", by_arm(r, r->given + at));
    for (size_t a = 0; a < r->arms.n && a < MODELS_MAX; a++)
        q[a] = (double)r->q[AIM_QUALITY][at + a];
    if (r->has_q[AIM_QUALITY] && r->arms.n <= MODELS_MAX)
        json_object_set_new(o, "q", by_arm(r, q));
    set_text(o, "session", session_of(r, i));
    for (int k = 0; k < SEG_WEEK; k++)
        set_text(o, ope_segment_name((enum ope_segment)k), name_of(&r->segment[k], r->seg[k][i]));
    if (r->time_ms[i] > 0)
        json_object_set_new(o, "time", json_real((double)r->time_ms[i] / 1000));
    if (r->forced[i])
        json_object_set_new(o, "forced", json_true());
    json_t *x = r->d > 0 ? json_array() : NULL;
    for (int j = 0; j < r->d; j++)
        json_array_append_new(x, json_real((double)r->x[i * (size_t)r->d + (size_t)j]));
    if (x != NULL)
        json_object_set_new(o, "x", x);
    return o;
}

/* ---- dsjson: actions are numbers from 1, the chosen one first; the loss is called cost ---- */

static json_t *context(const struct ope_rows *r, size_t i)
{
    json_t *shared = json_object(), *features = json_object(), *multi = json_array();
    for (int k = 0; k < SEG_WEEK; k++)
        set_text(shared, ope_segment_name((enum ope_segment)k),
                 name_of(&r->segment[k], r->seg[k][i]));
    for (int j = 0; j < r->d; j++) {
        char name[16];
        snprintf(name, sizeof name, "x%d", j);
        json_object_set_new(features, name, json_real((double)r->x[i * (size_t)r->d + (size_t)j]));
    }
    for (size_t a = 0; a < r->arms.n; a++)
        json_array_append_new(multi, json_pack("{s:s,s:{s:i,s:s}}", "_tag", r->arms.name[a], "i",
                                               "constant", 1, "id", r->arms.name[a]));
    return json_pack("{s:o,s:o,s:o}", "Request", shared, "Features", features, "_multi", multi);
}

static bool could(const struct ope_rows *r, size_t i, size_t arm)
{
    bool eligible = r->eligible[i] == 0 || arm >= 64 || (r->eligible[i] >> arm & 1) != 0;
    return eligible && (!r->has_pmf || r->pmf[i * (size_t)r->k + arm] > 0 || r->arm[i] == arm);
}

static json_t *ds_row(const struct ope_rows *r, size_t i)
{
    const double *pmf = r->pmf + i * (size_t)r->k;
    json_t *a = json_array(), *p = json_array();
    char id[24], time[48];
    double label = r->label[AIM_QUALITY][i];
    json_array_append_new(a, json_integer(number_of(r, r->arm[i], 1)));
    json_array_append_new(p, json_real(r->p[i]));
    for (size_t m = 0; r->has_pmf && m < r->arms.n; m++) {
        if (m == r->arm[i] || !could(r, i, m))
            continue;
        json_array_append_new(a, json_integer(number_of(r, m, 1)));
        json_array_append_new(p, json_real(pmf[m]));
    }
    snprintf(id, sizeof id, "%" PRIu64, r->seq[i]);
    iso_time(time, r->time_ms[i], "T");
    strcat(time, "Z");
    json_t *o = json_pack(
        "{s:f,s:f,s:I,s:i,s:[{s:f,s:s,s:b}],s:s,s:s,s:s,s:o,s:o,s:o}", "_label_cost", -label,
        "_label_probability", r->p[i], "_label_Action", number_of(r, r->arm[i], 1), "_labelIndex",
        (int)number_of(r, r->arm[i], 1) - 1, "o", "v", label, "EventId", id, "ActionTaken", 0,
        "Timestamp", time, "Version", "1", "EventId", id, "a", a, "c", context(r, i), "p", p);
    return o;
}

static enum status write_lines(const struct ope_rows *r, bool ds, FILE *f, struct problem *problem)
{
    for (size_t i = 0; i < r->n; i++) {
        if (ds && isnan(r->label[AIM_QUALITY][i]))
            continue;
        json_t *o = ds ? ds_row(r, i) : own_row(r, i);
        bool ok = o != NULL && json_dumpf(o, f, JSON_COMPACT | JSON_REAL_PRECISION(17)) == 0;
        json_decref(o);
        if (!ok)
            return problem_set(problem, STATUS_UNAVAILABLE, "", "a row cannot be written");
        fputc('\n', f);
    }
    return STATUS_OK;
}

enum status convert_write(const struct ope_rows *r, enum ope_format format, bool obp, FILE *f,
                          struct problem *problem)
{
    enum status s = format == FORMAT_CSV ? (obp ? write_obp(r, f) : write_csv(r, f, problem))
                                         : write_lines(r, format == FORMAT_DSJSON, f, problem);
    return s == STATUS_OK && ferror(f)
               ? problem_set(problem, STATUS_UNAVAILABLE, "", "%s", strerror(errno))
               : s;
}

/* ---- the command ---- */

static const char help[] =
    "usage: purser-sim convert --store DIR --as FORMAT [--out FILE]\n"
    "       purser-sim convert --log FILE --format FORMAT --as FORMAT [--out FILE]\n"
    "\n"
    "Logged decisions from one format into another; a live store is only read. FORMAT is csv or\n"
    "jsonl (everything), obp (Open Bandit Pipeline's CSV) or dsjson (Vowpal Wabbit's). obp and\n"
    "dsjson have quality alone: rows without it are left out. Standard output unless --out.\n"
    "Over a store it is of idle priority, and rests 4/5 of the time while the store is being\n"
    "written to; --full-speed: it does not, for no service has to be spared.\n";

struct wish {
    struct ope_source source;
    const char *as, *out;
    bool store, formatted, full_speed, help;
};

static bool read_wish(int argc, char **argv, struct wish *w)
{
    static const struct option options[] = {
        {"store", required_argument, NULL, 's'},  {"log", required_argument, NULL, 'l'},
        {"format", required_argument, NULL, 'f'}, {"as", required_argument, NULL, 'a'},
        {"out", required_argument, NULL, 'o'},    {"full-speed", no_argument, NULL, 'F'},
        {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0}};
    optind = 1;
    for (int key; (key = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (key == 's' || key == 'l')
            w->source.path = optarg;
        w->store = w->store || key == 's';
        w->help = w->help || key == 'h';
        w->full_speed = w->full_speed || key == 'F';
        w->as = key == 'a' ? optarg : w->as;
        w->out = key == 'o' ? optarg : w->out;
        if (key == 'f')
            w->formatted = format_parse(optarg, &w->source.format);
        if (key == '?' || (key == 'f' && !w->formatted))
            return false;
    }
    return w->help || (optind == argc && w->source.path && w->as && w->store != w->formatted);
}

static enum status convert(const struct wish *w, struct problem *problem)
{
    struct ope_rows rows = {0};
    enum ope_format format = FORMAT_STORE;
    struct whole file = {.f = NULL};
    if (!format_parse(w->as, &format) || format == FORMAT_STORE)
        return problem_set(problem, STATUS_BAD_REQUEST, "", "--as takes csv, jsonl, obp or dsjson");
    if (w->store && !w->full_speed)
        background_run(w->source.path); /* a live service comes first */
    enum status s = ope_read(&w->source, &rows, problem);
    if (s == STATUS_OK && w->out != NULL)
        s = whole_begin(&file, w->out, problem);
    if (s == STATUS_OK)
        s = convert_write(&rows, format, strcmp(w->as, "obp") == 0,
                          w->out != NULL ? file.f : stdout, problem);
    s = whole_end(&file, s, problem);
    rows_fini(&rows);
    return s;
}

int convert_command(int argc, char **argv)
{
    struct wish w = {.as = NULL};
    struct problem problem = {0};
    if (!read_wish(argc, argv, &w))
        return options_refuse("convert takes --store DIR, or --log FILE with --format, and --as",
                              NULL);
    if (w.help) {
        fputs(help, stdout);
        return EXIT_SUCCESS;
    }
    if (convert(&w, &problem) == STATUS_OK)
        return EXIT_SUCCESS;
    fprintf(stderr, "purser-sim: %s\n", problem.text);
    return EXIT_FAILURE;
}
