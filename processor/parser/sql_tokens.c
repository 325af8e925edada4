#include "processor/parser/sql_tokens.h"

#include "proto/sys/check.h"

#include <pg_query.h>
#include <pg_query/pg_query.pb-c.h>

/* The walk over one text. */
struct splitter {
    const char *text;
    size_t byte_count;
    struct plan_fault *fault;
    struct sql_pieces *pieces;
    bool is_open; /* A statement has begun. */
    uint32_t last_end;
    uint32_t join_count;
    uint32_t level;                             /* Open parentheses and CASEs. */
    uint32_t terms[SQL_TOKENS_NESTING_MAX + 1]; /* Of each level, since its last comma. */
    uint32_t betweens[SQL_TOKENS_NESTING_MAX + 1];
    bool is_case[SQL_TOKENS_NESTING_MAX + 1]; /* Opened by a CASE, else by a parenthesis. */
    uint32_t term_sum;
};

uint32_t sql_tokens_byte_of_character(const char *text, size_t byte_count, int number)
{
    int seen = 0;
    for (size_t at = 0; at < byte_count && number > 0; at++) {
        if (((unsigned char)text[at] & 0xc0U) != 0x80U) {
            seen++;
            if (seen == number) {
                return (uint32_t)at;
            }
        }
    }
    return (uint32_t)byte_count;
}

static enum status refuse(struct splitter *self, uint32_t position, const char *what,
                          const char *why, const char *fix)
{
    return plan_fault_raise(
        self->fault,
        &(struct plan_fault_text){
            .code = "TOO_COMPLEX", .position = position, .what = what, .why = why, .fix = fix});
}

static void reset_terms(struct splitter *self)
{
    self->term_sum -= self->terms[self->level];
    self->terms[self->level] = 0;
    self->betweens[self->level] = 0;
}

static void end_statement(struct splitter *self)
{
    if (self->is_open) {
        self->pieces->pieces[self->pieces->piece_count - 1].end = self->last_end;
    }
    self->is_open = false;
    self->level = 0;
    self->terms[0] = 0;
    self->betweens[0] = 0;
    self->term_sum = 0;
    self->join_count = 0;
}

static enum status begin_statement(struct splitter *self, uint32_t position)
{
    if (self->pieces->piece_count == SQL_TOKENS_STATEMENTS_MAX) {
        return refuse(self, position, "too many statements", "a text holds at most 1,000",
                      "send the rest as a text of its own");
    }
    self->pieces->pieces[self->pieces->piece_count] =
        (struct sql_piece){.begin = position, .end = position};
    self->pieces->piece_count++;
    self->is_open = true;
    return STATUS_OK;
}

static enum status open_level(struct splitter *self, uint32_t position, bool is_case)
{
    if (self->level == SQL_TOKENS_NESTING_MAX) {
        return refuse(self, position, "too deeply nested",
                      "at most 100 parentheses and CASEs may be open at once",
                      "compute a part in a job of its own");
    }
    self->level++;
    self->terms[self->level] = 0;
    self->betweens[self->level] = 0;
    self->is_case[self->level] = is_case;
    return STATUS_OK;
}

static void drop_level(struct splitter *self)
{
    reset_terms(self);
    self->level--;
}

/* The words may also be names (`AS end`, `AS case`), which open and close nothing: an END must not
 * close a parenthesis, and a parenthesis takes the CASEs inside it along. */
static void close_case(struct splitter *self)
{
    if (self->level > 0 && self->is_case[self->level]) {
        drop_level(self);
    }
}

static void close_parenthesis(struct splitter *self)
{
    while (self->level > 0 && self->is_case[self->level]) {
        drop_level(self);
    }
    if (self->level > 0) {
        drop_level(self);
    }
}

/* What may make the tree deeper. AND and OR chains are flat, but the AND of a BETWEEN is not one:
 * `x BETWEEN 1 AND NOT y BETWEEN 2 AND NOT …` is a tower. */
static enum status count_token(struct splitter *self, PgQuery__Token token, uint32_t position)
{
    switch ((int)token) {
    case PG_QUERY__TOKEN__ASCII_40:
    case PG_QUERY__TOKEN__ASCII_91:
        return open_level(self, position, false);
    case PG_QUERY__TOKEN__CASE:
        return open_level(self, position, true);
    case PG_QUERY__TOKEN__ASCII_41:
    case PG_QUERY__TOKEN__ASCII_93:
        close_parenthesis(self);
        break;
    case PG_QUERY__TOKEN__END_P:
        close_case(self);
        break;
    case PG_QUERY__TOKEN__ASCII_44:
    case PG_QUERY__TOKEN__WHEN:
    case PG_QUERY__TOKEN__THEN:
    case PG_QUERY__TOKEN__ELSE:
    case PG_QUERY__TOKEN__OR:
        reset_terms(self);
        return STATUS_OK;
    case PG_QUERY__TOKEN__BETWEEN:
        self->betweens[self->level]++;
        break;
    case PG_QUERY__TOKEN__AND:
        if (self->betweens[self->level] == 0) {
            reset_terms(self);
            return STATUS_OK;
        }
        self->betweens[self->level]--;
        break;
    case PG_QUERY__TOKEN__JOIN:
    case PG_QUERY__TOKEN__UNION:
    case PG_QUERY__TOKEN__EXCEPT:
    case PG_QUERY__TOKEN__INTERSECT:
    case PG_QUERY__TOKEN__ATOMIC:
        self->join_count++;
        break;
    default:
        break;
    }
    self->terms[self->level]++;
    self->term_sum++;
    if (self->term_sum > SQL_TOKENS_TERMS_MAX || self->join_count > SQL_TOKENS_JOINS_MAX) {
        return refuse(self, position, "an expression with too many terms",
                      "it may have about 1,000 words between two commas, ANDs or ORs",
                      "compute a part in a job of its own");
    }
    return STATUS_OK;
}

static enum status walk(struct splitter *self, const PgQuery__ScanResult *scan)
{
    for (size_t i = 0; i < scan->n_tokens; i++) {
        const PgQuery__ScanToken *token = scan->tokens[i];
        if (token->token == PG_QUERY__TOKEN__SQL_COMMENT ||
            token->token == PG_QUERY__TOKEN__C_COMMENT) {
            continue;
        }
        if (token->token == PG_QUERY__TOKEN__ASCII_59 && self->level == 0) {
            end_statement(self);
            continue;
        }
        check(token->start >= 0 && token->end >= token->start);
        check((size_t)token->end <= self->byte_count);
        uint32_t position = (uint32_t)token->start;
        if (!self->is_open) {
            TRY(begin_statement(self, position));
        }
        self->last_end = (uint32_t)token->end;
        TRY(count_token(self, token->token, position));
    }
    return STATUS_OK;
}

/* Of one text that the scanner takes. A statement that is refused is not among the pieces. */
static enum status split_scanned(struct splitter *self, const PgQueryScanResult *scanned,
                                 bool is_whole)
{
    PgQuery__ScanResult *scan =
        pg_query__scan_result__unpack(NULL, scanned->pbuf.len, (const uint8_t *)scanned->pbuf.data);
    if (scan == NULL) {
        return STATUS_NO_MEMORY;
    }
    enum status status = walk(self, scan);
    pg_query__scan_result__free_unpacked(scan, NULL);
    if (self->is_open && (status != STATUS_OK || !is_whole)) {
        self->pieces->piece_count--;
        self->is_open = false;
    }
    end_statement(self);
    return status;
}

/* The scanner gives nothing for a text with a mistake; what is in front of it is good. */
static enum status split_before(struct splitter *self, const char *why, uint32_t position)
{
    char *before = arena_copy_text(self->fault->arena, self->text, position);
    if (before == NULL) {
        return STATUS_NO_MEMORY;
    }
    PgQueryScanResult scanned = pg_query_scan(before);
    enum status status = scanned.error != NULL ? STATUS_OK : split_scanned(self, &scanned, false);
    pg_query_free_scan_result(scanned);
    TRY(status);
    return plan_fault_raise(
        self->fault,
        &(struct plan_fault_text){.code = "SYNTAX",
                                  .position = position,
                                  .what = why,
                                  .why = "the text cannot be cut into words from here on",
                                  .fix = "look for a quote or a comment that is not closed"});
}

enum status sql_tokens_split(const char *text, size_t byte_count, struct arena *arena,
                             struct plan_fault *fault, struct sql_pieces *out_pieces)
{
    struct splitter self = {
        .text = text, .byte_count = byte_count, .fault = fault, .pieces = out_pieces};
    *out_pieces = (struct sql_pieces){
        .pieces = arena_take_array(arena, SQL_TOKENS_STATEMENTS_MAX, sizeof(struct sql_piece))};
    if (out_pieces->pieces == NULL) {
        return STATUS_NO_MEMORY;
    }
    PgQueryScanResult scanned = pg_query_scan(text);
    enum status status = STATUS_OK;
    if (scanned.error != NULL) {
        uint32_t position =
            sql_tokens_byte_of_character(text, byte_count, scanned.error->cursorpos);
        status =
            split_before(&self, plan_fault_print(fault, "%s", scanned.error->message), position);
    } else {
        status = split_scanned(&self, &scanned, true);
    }
    pg_query_free_scan_result(scanned);
    return status;
}
