/* SPDX-License-Identifier: MIT */
/*
 * The idle classes of the Linux schedulers. A niceness of 19 still gets a share of a busy
 * processor, and a thread that wakes waits for the end of its slice; an idle process is put aside
 * at once.
 *
 * That is not enough: beside an endless loop of idle priority, too, the 99th percentile of a
 * service's latency nearly doubles on two virtual processors (whose host has other things to do
 * when they sleep), and beside one that runs for 1 ms in 5 it hardly moves. So a timer's handler
 * rests. It may do so anywhere, also within a read transaction: those are short, and what a commit
 * may not use again meanwhile it uses later. Rests in the loops themselves would have to be in all
 * of them.
 */
#include "sim/background.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* From ioprio_set(2), which has no header of the C library. */
enum { IOPRIO_WHO_PROCESS = 1, IOPRIO_CLASS_IDLE = 3, IOPRIO_CLASS_SHIFT = 13 };
enum { RUN_NS = 1000000, RESTS = 4, LIVE_S = 2 };

static struct {
    char file[PATH_MAX]; /* empty: no store */
    timer_t timer;
} background;

static void again(void)
{
    const struct itimerspec once = {.it_value = {0, RUN_NS}};
    timer_settime(background.timer, 0, &once, NULL);
}

/* Signal handler: whatever is called here may be called there. */
static void rest(int signal)
{
    int saved = errno;
    struct stat st;
    struct timespec now, nap = {0, RESTS * RUN_NS};
    (void)signal;
    if (stat(background.file, &st) == 0 && clock_gettime(CLOCK_REALTIME, &now) == 0 &&
        now.tv_sec - st.st_mtim.tv_sec <= LIVE_S)
        nanosleep(&nap, NULL);
    again();
    errno = saved;
}

void background_go_on(void)
{
    struct sigevent tell = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
    if (background.file[0] != '\0' && timer_create(CLOCK_MONOTONIC, &tell, &background.timer) == 0)
        again();
}

void background_run(const char *store)
{
    struct sched_param none = {0};
    struct sigaction act = {.sa_handler = rest, .sa_flags = SA_RESTART};
    setpriority(PRIO_PROCESS, 0, 19); /* where the next is refused */
    (void)sched_setscheduler(0, SCHED_IDLE, &none);
    (void)syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_CLASS_IDLE << IOPRIO_CLASS_SHIFT);
    int n = snprintf(background.file, sizeof background.file, "%s/data.mdb", store);
    if (n < 0 || (size_t)n >= sizeof background.file || sigaction(SIGALRM, &act, NULL) != 0)
        background.file[0] = '\0';
    background_go_on();
}
