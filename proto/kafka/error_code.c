#include "proto/kafka/error_code.h"

#include <stddef.h>

struct row {
    const char *name;
    const char *text;
    enum error_code_reaction reaction;
};

/* In the order of the numbers, from ERROR_CODE_MIN without a gap. */
static const struct row rows[] = {
#define X(name, number, reaction, text) {#name, text, ERROR_CODE_REACTION_##reaction},
    ERROR_CODE_TABLE(X)
#undef X
};

_Static_assert(sizeof rows / sizeof rows[0] == ERROR_CODE_MAX - ERROR_CODE_MIN + 1,
               "the table has no gap");

static const struct row *find(int16_t number)
{
    static const struct row unknown = {"UNKNOWN", "a code that is not known here",
                                       ERROR_CODE_REACTION_FINAL};
    if (number < ERROR_CODE_MIN || number > ERROR_CODE_MAX) {
        return &unknown;
    }
    return &rows[number - ERROR_CODE_MIN];
}

const char *error_code_name(int16_t number)
{
    return find(number)->name;
}

const char *error_code_text(int16_t number)
{
    return find(number)->text;
}

enum error_code_reaction error_code_reaction(int16_t number)
{
    return find(number)->reaction;
}

bool error_code_is_retriable(int16_t number)
{
    return find(number)->reaction != ERROR_CODE_REACTION_FINAL;
}
