/* SPDX-License-Identifier: MIT */
#ifndef PURSER_SIM_BACKGROUND_H
#define PURSER_SIM_BACKGROUND_H

/* background_run makes this process, and what it starts, give way to all others: processor and disk
 * are used only while nobody else asks for them, and while the store's file is being written to
 * they rest for four fifths of the time. For commands that read the store of a service that may be
 * running. store is borrowed for good. What the system refuses is left as it was. */
void background_run(const char *store);
/* background_go_on is for a child process, which has its parent's priority but not its timer. */
void background_go_on(void);

#endif
