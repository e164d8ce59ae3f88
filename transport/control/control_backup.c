/* SPDX-License-Identifier: MIT */
/* The op backup: a verified copy of the store, made while the service runs. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "store/maintain.h"
#include "transport/control/control_inside.h"
#include "transport/log.h"

struct backup_job {
    uv_work_t work;
    struct control *control;
    struct slot *slot;
    char to[1024];
    struct verify_report report;
    struct problem problem;
    enum status status;
};

/* Pool thread. Touches the job and, by read transactions of its own, the open store. */
static void backup_work(uv_work_t *work)
{
    struct backup_job *job = work->data;
    job->status = store_backup_open(job->control->desk->db, job->to, &job->report, &job->problem);
}

static void backup_done(uv_work_t *work, int cancelled)
{
    struct backup_job *job = work->data;
    struct outbuf *o = slot_out(job->slot);
    if (cancelled)
        job->status = problem_set(&job->problem, STATUS_UNAVAILABLE, "", "the service is stopping");
    if (job->status == STATUS_OK && outbuf_reserve(o, OUTBUF_ITEM)) {
        text_put(&o->text, "{\"v\":1,\"to\":");
        text_json_string(&o->text, job->to);
        text_printf(&o->text, ",\"seq\":%" PRIu64 ",\"digest\":\"%016" PRIx64 "\",\"ok\":%s}",
                    job->report.seq, job->report.digest, job->report.ok ? "true" : "false");
    } else {
        strcpy(job->problem.path, "/to"); /* the text names the file */
        desk_error(o, &job->problem);
    }
    log_event(job->status == STATUS_OK ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR, "backup", "to", job->to,
              "status", status_code(job->status), "text", job->problem.text, NULL);
    job->control->jobs--;
    job->control->copying = false;
    job->control->done(job->control->ctx, job->slot);
    free(job);
}

enum status control_backup(struct call *c, struct problem *p)
{
    const char *to = json_string_value(json_object_get(c->root, "to"));
    struct backup_job *job;
    if (!to || to[0] != '/' || strlen(to) >= sizeof job->to)
        return problem_set(p, STATUS_BAD_REQUEST, "/to",
                           "to is needed: an absolute path of a directory that does not exist yet");
    if (c->control->copying)
        return problem_set(p, STATUS_OVERLOADED, "",
                           "a backup is under way: retry when it is done");
    job = calloc(1, sizeof *job);
    if (!job)
        return problem_set(p, STATUS_UNAVAILABLE, "", "no memory for a backup");
    job->work.data = job;
    job->control = c->control;
    job->slot = c->slot;
    strcpy(job->to, to);
    if (uv_queue_work(c->control->loop, &job->work, backup_work, backup_done) != 0) {
        free(job);
        return problem_set(p, STATUS_UNAVAILABLE, "", "no thread for a backup");
    }
    c->control->jobs++;
    c->control->copying = true;
    c->later = true;
    return STATUS_OK;
}
