/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_ROUTER_GENERATIONS_H
#define PURSER_CORE_ROUTER_GENERATIONS_H

/* Snapshots are written in turn to three places: while one is being made, little by little, the two
 * before it are whole. What is part of a snapshot has a bit for each generation: it has changed
 * since that was last written. */
enum { GENERATIONS = 3, DIRTY_ALL = (1 << GENERATIONS) - 1 };

#endif
