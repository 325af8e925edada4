/* Goal: no text kills the parser or the checker, and what they say of it holds together: statements
 * in order inside the text, faults inside it and complete, plans that the chain can rely on.
 * Method: the input is a text; it is parsed, then run against the tables of the golden file. Slices
 * of the parsed statements are parsed again and must come to the same. */
#include "processor/parser/sql_script.h"
#include "proto/sys/check.h"
#include "tests/rig/message_dump.h"
#include "tests/rig/sql_rig.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count);

static const char tables[] =
    "CREATE TABLE s (a int, b bigint, c double precision, d text, e boolean, f timestamptz, g "
    "interval) WITH (topic = 's', event_time = 'f', watermark = '1 hour');"
    "CREATE TABLE o (a bigint, b double precision, c text, d timestamptz, e boolean, f interval);"
    "CREATE TABLE n (n bigint);";

static Millrace__Plan__Script *parse(const char *text, size_t byte_count, struct arena *arena)
{
    Millrace__Plan__Script *script = NULL;
    check(sql_script_parse(text, byte_count, arena, &script) == STATUS_OK);
    return script;
}

static const char *dump(const ProtobufCMessage *message, struct arena *arena)
{
    static const char *const skip[] = {"position", NULL};
    struct text_builder builder;
    const char *text = NULL;
    text_builder_init(&builder, arena);
    message_dump_add(&builder, message, skip);
    check(text_builder_end(&builder, &text) == STATUS_OK);
    return text;
}

static void check_places(const Millrace__Plan__Script *script, size_t byte_count)
{
    uint32_t last = 0;
    for (size_t i = 0; i < script->n_statements; i++) {
        const Millrace__Plan__Statement *statement = script->statements[i];
        check(statement->position >= last);
        check((size_t)statement->position + statement->byte_count <= byte_count);
        check(statement->byte_count > 0);
        check(statement->kind_case != MILLRACE__PLAN__STATEMENT__KIND__NOT_SET);
        last = statement->position;
    }
    if (script->fault != NULL) {
        check(script->fault->position <= byte_count);
        check(script->fault->position >= last);
    }
}

/* A statement on its own is what it was among the others. */
static void check_slice(const Millrace__Plan__Script *script, const char *text, struct arena *arena)
{
    if (script->n_statements == 0) {
        return;
    }
    const Millrace__Plan__Statement *statement = script->statements[script->n_statements - 1];
    const Millrace__Plan__Script *alone =
        parse(text + statement->position, statement->byte_count, arena);
    check(alone->fault == NULL && alone->n_statements > 0);
    check(strcmp(dump(&statement->base, arena),
                 dump(&alone->statements[alone->n_statements - 1]->base, arena)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count)
{
    struct sql_rig rig;
    struct text_builder report;
    char *text = calloc(1, byte_count + 1);
    check(text != NULL);
    if (byte_count > 0) {
        memcpy(text, bytes, byte_count);
    }
    sql_rig_init(&rig);
    text_builder_init(&report, &rig.arena);
    sql_rig_run(&rig, parse(tables, sizeof tables - 1, &rig.arena), NULL, &report);
    check(rig.table_count == 3);
    const Millrace__Plan__Script *script = parse(text, byte_count, &rig.arena);
    check_places(script, byte_count);
    check_slice(script, text, &rig.arena);
    sql_rig_run(&rig, script, NULL, &report);
    sql_rig_done(&rig);
    free(text);
    return 0;
}
