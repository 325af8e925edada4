/* A text cut into statements by the grammar's scanner, before its parser sees any of it: the tree
 * that the parser makes is walked by recursion, so what could become too deep is refused here.
 *
 * Depth is bounded by counting words: those in front of the same comma, AND, OR or part of a CASE,
 * summed over the parentheses and CASEs that are open.
 *
 * Owner: sql_script. Loop: the program's. Limits: the ones below. */
#pragma once

#include "processor/plan/plan_fault.h"

#define SQL_TOKENS_TERMS_MAX 1000U
#define SQL_TOKENS_NESTING_MAX 100U
#define SQL_TOKENS_JOINS_MAX 20U
#define SQL_TOKENS_STATEMENTS_MAX 1000U

/* One statement without its semicolon, and without what is blank around it. */
struct sql_piece {
    uint32_t begin;
    uint32_t end;
};

struct sql_pieces {
    struct sql_piece *pieces; /* In the arena. */
    uint32_t piece_count;
};

/* INVALID: `fault` is set, and the pieces are those before it. NO_MEMORY: the arena. */
MUST_USE enum status sql_tokens_split(const char *text, size_t byte_count, struct arena *arena,
                                      struct plan_fault *fault, struct sql_pieces *out_pieces);
/* The byte at which the character with this number (from 1, as PostgreSQL counts) begins; the
 * text's end for 0 and for those past it. */
uint32_t sql_tokens_byte_of_character(const char *text, size_t byte_count, int number);
