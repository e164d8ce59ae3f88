/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_EVENT_DECISION_ID_H
#define PURSER_CORE_EVENT_DECISION_ID_H

#include <stdbool.h>
#include <stdint.h>
#include "core/limits.h"

/*
 * A decision id names a record of the log: EPOCH-SEQ-MAC in lower-case hexadecimal without leading
 * zeros (the MAC always 16 digits). The MAC (SipHash-2-4 under the store's key, over epoch and seq
 * as little-endian 64-bit words) lets a guessed id be refused before any look-up. The epoch changes
 * at each start, so a sequence number lost with its batch never names another decision.
 */
/* siphash24 gives SipHash-2-4 of n bytes (Aumasson, Bernstein 2012). */
uint64_t siphash24(const void *bytes, uint64_t n, const uint8_t key[16]);
uint64_t decision_mac(uint32_t epoch, uint64_t seq, const uint8_t key[16]);
void decision_id_format(char out[DECISION_ID_CAP], uint32_t epoch, uint64_t seq,
                        const uint8_t key[16]);
/* decision_id_parse reads the form only (strictly: one spelling per id); false if it is not one.
 * The caller compares mac with decision_mac. */
bool decision_id_parse(const char *id, uint32_t *epoch, uint64_t *seq, uint64_t *mac);

#endif
