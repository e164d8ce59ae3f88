/* SPDX-License-Identifier: MIT */
#ifndef PURSER_CORE_LIMITS_H
#define PURSER_CORE_LIMITS_H

/* Compiled-in bounds. Every buffer of the engine is sized by these; configuration stays within. */
enum {
    NAME_LEN = 64,           /* bytes in an identifier: [A-Za-z0-9._:/@-]{1,64} */
    NAME_CAP = NAME_LEN + 1, /* with the terminating zero */
    MODELS_MAX = 64,         /* models ever seen by one store, retired ones included */
    LEARNERS_MAX = 64,       /* tenants that ever had a learner of their own */
    TIERS_MAX = 8,           /* ordered classes of models */
    NEEDS_MAX = 32,          /* distinct capability names in a catalog */
    RULES_MAX = 64,          /* keyword rules */
    DIM_MAX = 128,           /* entries of a context vector, bias included */
    FEATURES_MAX = 64,       /* named features a caller may send with one request */
    EMBEDDING_MAX = 4096,    /* floats in a caller's embedding */
    FALLBACKS_MAX = 8,       /* models named behind the chosen one */
    SOURCES_MAX = 6,         /* feedback sources kept apart per decision, reserved ones included */
    SEEN_REPORTS = 12,       /* distinct feedback messages per decision */
    SEEN_MAX = 18,        /* with those of reserved sources, and retractions so that a full book can
                             be corrected */
    SILENCE_MAX = 16,     /* entries that tell what silence means */
    SESSIONS_MAX = 65536, /* conversations whose model is remembered */
    VALUE_ENTRIES_MAX = 32,      /* factors in a table of values */
    IGNORE_SOURCES_MAX = 16,     /* sources whose labels are not taken */
    BATCH_ITEMS_MAX = 256,       /* items in one route_many or feedback_many */
    TEACH_OUTCOMES_MAX = 2048,   /* outcomes in one teach message */
    IMPORTS_MAX = 8,             /* recent imports of learned state that can be taken back */
    TEACH_BATCHES = 64,          /* recent teach messages that are known again when repeated */
    MESSAGE_MAX = 1024 * 1024,   /* bytes of a single request */
    BATCH_MESSAGE_MAX = 8388608, /* bytes of a batch */
    PROMPT_HASHED_MAX = 16384,   /* bytes at each end of a prompt that become features */
    REPRICINGS_MAX = 4,          /* prices to come, per model */
    CONFIG_MAX = 262144,         /* bytes of a configuration document */
    EVENT_BYTES_MAX = CONFIG_MAX + 4096,
    HULL_REACH_MAX = 200, /* weight of one label in the comparison with the static hull */
    OPEN_MAX = 1 << 24,   /* open decisions in memory, at most */
    DECISION_ID_CAP = 64
};

/* What is learned of a model, each target by a regression of its own. */
enum target { TARGET_QUALITY, TARGET_TOKENS, TARGET_LATENCY, TARGET_FAILURE, TARGETS };

#endif
