/* Where one column of a reader's records goes, and one value on its way there.
 *
 * A slot writes values of one type behind each other into a column of the arena; what a record gave
 * for a column can be replaced (a key that comes twice: the last one counts, as in Spark) until the
 * next row is begun.
 *
 * Owner: the reader. Loop: its. Limits: 2^31 - 1 bytes of text. */
#pragma once

#include "processor/row/column.h"

enum json_slot_fault {
    JSON_SLOT_FITS = 0,
    JSON_SLOT_BROKEN,    /* No JSON at all, or it ends too early. */
    JSON_SLOT_TYPE,      /* A value of another type. */
    JSON_SLOT_FRACTION,  /* Not whole. */
    JSON_SLOT_RANGE,     /* Beyond what the type holds. */
    JSON_SLOT_TIME,      /* A string, but no time. */
    JSON_SLOT_INTERVAL,  /* A string, but no interval. */
    JSON_SLOT_CHARACTER, /* Not Unicode: half a surrogate pair, or bytes that are no UTF-8. */
    JSON_SLOT_NO_MEMORY, /* Not the record's fault. */
};

struct json_slot {
    struct column column;
    size_t text_capacity;
    struct arena *arena; /* Borrowed until the columns are handed out. */
    bool has_null;       /* Validity is there, so values must set their bit. */
    enum json_slot_fault fault;
};

/* For `row_count` rows. NO_MEMORY: the arena. */
MUST_USE enum status json_slot_begin(struct json_slot *self, enum value_type type,
                                     uint32_t row_count, struct arena *arena);
/* Reads the value at `next` into `row`. Returns its end, or NULL with `fault` set. */
const uint8_t *json_slot_read(struct json_slot *self, uint32_t row, const uint8_t *next,
                              const uint8_t *end);
/* Marks `row` as null, whatever it was. NO_MEMORY: the arena. */
MUST_USE enum status json_slot_set_null(struct json_slot *self, uint32_t row);
