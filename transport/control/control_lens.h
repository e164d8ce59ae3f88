/* SPDX-License-Identifier: MIT */
#ifndef PURSER_TRANSPORT_CONTROL_CONTROL_LENS_H
#define PURSER_TRANSPORT_CONTROL_CONTROL_LENS_H

#include <jansson.h>
#include "core/encoding/text.h"
#include "transport/desk/desk.h"

/* The lens of the running service: ops lens.get and lens.set. Loop thread. */
/* control_lens does what a message asks (lens.set: lens_b64, "" = no lens any more) and shows the
 * lens. */
MUST_CHECK enum status control_lens(struct desk *d, const json_t *root, struct text *out,
                                    struct problem *problem);

#endif
