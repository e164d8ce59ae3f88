/* SPDX-License-Identifier: MIT */
/* `purser-sim lens fit`: from prompts to a lens file, and what there is to say of it. */
#include "sim/lens/lens_command.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "store/whole.h"

static void tell_table(const struct lens *l, const struct lens_report *r, size_t bytes)
{
    printf("lens %016llx  %zu bytes  %d buckets  %d dims  %d clusters\n", (unsigned long long)l->id,
           bytes, l->buckets, l->dims, l->clusters);
    printf("learned from %zu prompts, %zu held out\n", r->n, r->held_out);
    printf("variance explained %.3f  cosine to the nearest centre %.3f\n", r->variance, r->cosine);
    if (r->score.n > 0)
        printf("labels %d  accuracy %.3f (commonest %.3f)  calibration error %.3f (%.3f before)  "
               "on %zu rows\n",
               l->labels, r->score.accuracy, r->score.majority, r->score.ece, r->score.ece_raw,
               r->score.n);
    if (r->score.n_hard > 0)
        printf("complexity  variance explained %.3f  mean error %.3f  calibration error %.3f  "
               "on %zu rows\n",
               r->score.complexity_r2, r->score.complexity_error, r->score.complexity_ece,
               r->score.n_hard);
}

static void tell_json(const struct lens *l, const struct lens_report *r, size_t bytes)
{
    printf("{\"id\":\"%016llx\",\"bytes\":%zu,\"buckets\":%d,\"dims\":%d,\"clusters\":%d,"
           "\"labels\":%d,\"n\":%zu,\"held_out\":%zu,\"variance\":%.6f,\"cosine\":%.6f",
           (unsigned long long)l->id, bytes, l->buckets, l->dims, l->clusters, l->labels, r->n,
           r->held_out, r->variance, r->cosine);
    if (r->score.n > 0)
        printf(",\"label\":{\"n\":%zu,\"accuracy\":%.6f,\"majority\":%.6f,\"ece\":%.6f,"
               "\"ece_raw\":%.6f,\"temperature\":%.6f}",
               r->score.n, r->score.accuracy, r->score.majority, r->score.ece, r->score.ece_raw,
               (double)l->temperature);
    if (r->score.n_hard > 0)
        printf(",\"complexity\":{\"n\":%zu,\"r2\":%.6f,\"error\":%.6f,\"ece\":%.6f}",
               r->score.n_hard, r->score.complexity_r2, r->score.complexity_error,
               r->score.complexity_ece);
    printf("}\n");
}

static enum status write_file(const char *path, const uint8_t *bytes, size_t n,
                              struct problem *problem)
{
    struct whole file;
    enum status s = whole_begin(&file, path, problem);
    if (s == STATUS_OK)
        fwrite(bytes, 1, n, file.f);
    return whole_end(&file, s, problem);
}

enum status lens_read(const char *path, uint8_t **bytes, size_t *n, struct problem *problem)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        return problem_set(problem, STATUS_BAD_REQUEST, "", "%s: %s", path, strerror(errno));
    *bytes = malloc(LENS_BYTES_MAX + 1);
    *n = *bytes ? fread(*bytes, 1, LENS_BYTES_MAX + 1, f) : 0;
    bool failed = ferror(f) != 0;
    fclose(f);
    if (failed)
        return problem_set(problem, STATUS_BAD_REQUEST, "", "%s: cannot be read", path);
    return *bytes ? STATUS_OK : problem_set(problem, STATUS_INTERNAL, "", "out of memory");
}

/* Encodes, reads back (that gives the id and checks what others will check), writes. */
static enum status finish(const struct lens_command *command, struct lens *l, uint8_t *bytes,
                          size_t *n, struct problem *problem)
{
    *n = lens_save(l, bytes, LENS_BYTES_MAX);
    if (*n == 0)
        return problem_set(problem, STATUS_TOO_LARGE, "",
                           "the lens exceeds %d bytes: fewer buckets or dims", LENS_BYTES_MAX);
    enum status s = lens_load(bytes, *n, l, problem);
    return s == STATUS_OK && command->out ? write_file(command->out, bytes, *n, problem) : s;
}

enum status lens_command_run(const struct lens_command *command, struct problem *problem)
{
    struct corpus corpus = {0};
    struct lens_report report;
    struct lens *lens = malloc(sizeof *lens);
    uint8_t *bytes = malloc(LENS_BYTES_MAX);
    size_t n = 0;
    enum status s = STATUS_OK;
    if (!lens || !bytes)
        s = problem_set(problem, STATUS_INTERNAL, "", "out of memory");
    for (int i = 0; s == STATUS_OK && i < command->n_paths; i++)
        s = corpus_read(&corpus, command->path[i], command->split > 0 ? command->split : 1,
                        problem);
    if (s == STATUS_OK)
        s = lens_fit_run(&command->fit, &corpus, lens, &report, problem);
    if (s == STATUS_OK)
        s = finish(command, lens, bytes, &n, problem);
    if (s == STATUS_OK)
        (command->json ? tell_json : tell_table)(lens, &report, n);
    corpus_free(&corpus);
    free(lens);
    free(bytes);
    return s;
}
