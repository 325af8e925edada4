#include "processor/parser/sql_script.h"

#include "processor/parser/sql_statement.h"
#include "processor/parser/sql_tokens.h"
#include "processor/text/nearest_word.h"
#include "proto/sys/check.h"

#include <pg_query.h>
#include <string.h>
#include <strings.h>

#define SCRIPT_VERSION 1U

struct reader {
    struct arena *arena;
    struct plan_fault fault;
    const char *text;
    size_t byte_count;
    Millrace__Plan__Script *script;
    size_t statement_count_max;
};

static const char *const keywords[] = {
    "CREATE",      "TABLE",  "WITH",    "INSERT", "INTO",      "SELECT",   "FROM",
    "WHERE",       "GROUP",  "BY",      "HAVING", "CASE",      "WHEN",     "THEN",
    "ELSE",        "END",    "AND",     "OR",     "NOT",       "BETWEEN",  "NULL",
    "SET",         "DROP",   "EXPLAIN", "CALL",   "EXISTS",    "INTERVAL", "FILTER",
    "TIMESTAMPTZ", "BIGINT", "INTEGER", "DOUBLE", "PRECISION", "BOOLEAN",  "TEXT"};

static bool is_letter(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}

/* The word at `position`, or no bytes. */
static size_t word_bytes(const struct reader *self, uint32_t position)
{
    size_t end = position;
    while (end < self->byte_count && is_letter(self->text[end])) {
        end++;
    }
    return end - position;
}

/* The grammar stumbles over the word behind a misspelt one when that may be a name: FORM flights.
 */
static uint32_t word_before(const struct reader *self, uint32_t begin, uint32_t position)
{
    uint32_t at = position;
    while (at > begin && strchr(" \t\r\n", self->text[at - 1]) != NULL) {
        at--;
    }
    while (at > begin && is_letter(self->text[at - 1])) {
        at--;
    }
    return at;
}

/* The keyword that the word at `position` nearly is; NULL: it is one, or near to none. */
static const char *meant_word(const struct reader *self, uint32_t position)
{
    size_t bytes = word_bytes(self, position);
    const char *word = self->text + position;
    const char *near =
        bytes < 3 ? NULL
                  : nearest_word(word, bytes, keywords, sizeof keywords / sizeof keywords[0]);
    bool is_keyword = near != NULL && strlen(near) == bytes && strncasecmp(near, word, bytes) == 0;
    return is_keyword ? NULL : near;
}

static enum status raise_syntax(struct reader *self, const struct sql_piece *piece,
                                const PgQueryError *error)
{
    uint32_t piece_bytes = piece->end - piece->begin;
    uint32_t position = piece->begin + sql_tokens_byte_of_character(self->text + piece->begin,
                                                                    piece_bytes, error->cursorpos);
    const char *fix = "look at this word and the one before it";
    const char *near = meant_word(self, position);
    if (near == NULL) {
        near = meant_word(self, word_before(self, piece->begin, position));
    }
    if (near != NULL) {
        fix = plan_fault_print(&self->fault, "did you mean %s?", near);
    }
    return plan_fault_raise(
        &self->fault,
        &(struct plan_fault_text){.code = "SYNTAX",
                                  .position = position,
                                  .what = plan_fault_print(&self->fault, "%s", error->message),
                                  .why = "PostgreSQL's grammar has nothing like it here",
                                  .fix = fix});
}

static enum status add_statements(struct reader *self, const struct sql_statement_list *list)
{
    Millrace__Plan__Script *script = self->script;
    if (script->n_statements + list->count > self->statement_count_max) {
        return plan_fault_raise(
            &self->fault,
            &(struct plan_fault_text){.code = "TOO_COMPLEX",
                                      .position = list->statements[0]->position,
                                      .what = "too many statements",
                                      .why = "a text holds at most 1,000, tables of a DROP each",
                                      .fix = "send the rest as a text of its own"});
    }
    for (size_t i = 0; i < list->count; i++) {
        script->statements[script->n_statements++] = list->statements[i];
    }
    return STATUS_OK;
}

static enum status read_tree(struct reader *self, const struct sql_piece *piece, const char *text,
                             const PgQueryProtobuf *bytes)
{
    struct sql_context context = {
        .arena = self->arena, .fault = &self->fault, .text = text, .base = piece->begin};
    PgQuery__ParseResult *tree =
        pg_query__parse_result__unpack(NULL, bytes->len, (const uint8_t *)bytes->data);
    if (tree == NULL) {
        return STATUS_NO_MEMORY;
    }
    enum status status = STATUS_OK;
    for (size_t i = 0; i < tree->n_stmts && status == STATUS_OK; i++) {
        struct sql_statement_list list = {0};
        status =
            sql_statement_read(&context, tree->stmts[i]->stmt, piece->end - piece->begin, &list);
        if (status == STATUS_OK) {
            status = add_statements(self, &list);
        }
    }
    pg_query__parse_result__free_unpacked(tree, NULL);
    return status;
}

static enum status read_piece(struct reader *self, const struct sql_piece *piece)
{
    char *copy = arena_copy_text(self->arena, self->text + piece->begin, piece->end - piece->begin);
    if (copy == NULL) {
        return STATUS_NO_MEMORY;
    }
    PgQueryProtobufParseResult parsed = pg_query_parse_protobuf(copy);
    enum status status = parsed.error != NULL ? raise_syntax(self, piece, parsed.error)
                                              : read_tree(self, piece, copy, &parsed.parse_tree);
    pg_query_free_protobuf_parse_result(parsed);
    return status;
}

/* The next byte that is not UTF-8 or is a NUL, which would end the text for the library. */
static size_t bad_byte(const char *text, size_t byte_count)
{
    const unsigned char *bytes = (const unsigned char *)text;
    size_t at = 0;
    while (at < byte_count) {
        unsigned char first = bytes[at];
        size_t more = first < 0x80 ? 0 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
        if (first == 0 || (first >= 0x80 && first < 0xc2) || first > 0xf4 ||
            byte_count - at <= more) {
            return at;
        }
        for (size_t i = 1; i <= more; i++) {
            if ((bytes[at + i] & 0xc0U) != 0x80U) {
                return at;
            }
        }
        bool is_overlong =
            (first == 0xe0 && bytes[at + 1] < 0xa0) || (first == 0xf0 && bytes[at + 1] < 0x90);
        bool is_outside =
            (first == 0xed && bytes[at + 1] >= 0xa0) || (first == 0xf4 && bytes[at + 1] >= 0x90);
        if (is_overlong || is_outside) {
            return at;
        }
        at += more + 1;
    }
    return byte_count;
}

static enum status check_text(struct reader *self)
{
    if (self->byte_count > SQL_SCRIPT_TEXT_BYTES_MAX) {
        return plan_fault_raise(&self->fault,
                                &(struct plan_fault_text){.code = "TOO_LONG",
                                                          .position = SQL_SCRIPT_TEXT_BYTES_MAX,
                                                          .what = "the text is too long",
                                                          .why = "it may have 65,536 bytes",
                                                          .fix = "send it in several parts"});
    }
    size_t bad = bad_byte(self->text, self->byte_count);
    if (bad < self->byte_count) {
        return plan_fault_raise(
            &self->fault, &(struct plan_fault_text){.code = "SYNTAX",
                                                    .position = (uint32_t)bad,
                                                    .what = "a byte that is not text",
                                                    .why = "a text is UTF-8 without NUL bytes",
                                                    .fix = "save the file as UTF-8"});
    }
    return STATUS_OK;
}

static enum status read_text(struct reader *self)
{
    TRY(check_text(self));
    struct sql_pieces pieces = {0};
    char *text = arena_copy_text(self->arena, self->text, self->byte_count);
    if (text == NULL) {
        return STATUS_NO_MEMORY;
    }
    struct plan_fault later;
    plan_fault_init(&later, self->arena);
    enum status split = sql_tokens_split(text, self->byte_count, self->arena, &later, &pieces);
    if (split != STATUS_OK && split != STATUS_INVALID) {
        return split;
    }
    for (uint32_t i = 0; i < pieces.piece_count; i++) {
        TRY(read_piece(self, &pieces.pieces[i]));
    }
    if (split == STATUS_INVALID) { /* It stands behind the statements above. */
        self->fault.message = later.message;
    }
    return split;
}

enum status sql_script_parse(const char *text, size_t byte_count, struct arena *arena,
                             Millrace__Plan__Script **out_script)
{
    struct reader self = {.arena = arena,
                          .text = text,
                          .byte_count = byte_count,
                          .statement_count_max = SQL_TOKENS_STATEMENTS_MAX};
    plan_fault_init(&self.fault, arena);
    self.script = arena_take(arena, sizeof *self.script);
    if (self.script == NULL) {
        return STATUS_NO_MEMORY;
    }
    millrace__plan__script__init(self.script);
    self.script->version = SCRIPT_VERSION;
    self.script->statements =
        arena_take_array(arena, self.statement_count_max, sizeof *self.script->statements);
    if (self.script->statements == NULL) {
        return STATUS_NO_MEMORY;
    }
    enum status status = read_text(&self);
    if (status == STATUS_INVALID) {
        Millrace__Plan__Fault *fault = arena_take(arena, sizeof *fault);
        if (fault == NULL) {
            return STATUS_NO_MEMORY;
        }
        *fault = self.fault.message;
        self.script->fault = fault;
        status = STATUS_OK;
    }
    TRY(status);
    check(self.script->n_statements <= self.statement_count_max);
    *out_script = self.script;
    return STATUS_OK;
}
