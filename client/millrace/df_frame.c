#include "client/millrace/df_frame.h"

#include "client/millrace/trouble.h"
#include "proto/sys/check.h"

#include <stdio.h>
#include <stdlib.h>

#define DF_MAGIC 0xdf2a3e01U
#define SCRIPT_VERSION 1U

/* Stands for every frame that there was no memory for: it is spoilt from the beginning, nothing is
 * ever written to it, and it is never freed. */
static struct millrace_df no_memory_frame = {.magic = DF_MAGIC, .is_spoilt = true};

struct millrace_df *millrace_df_from(const char *table)
{
    struct millrace_df *df = calloc(1, sizeof *df);
    if (df == NULL) {
        return &no_memory_frame;
    }
    df->magic = DF_MAGIC;
    arena_init(&df->arena, DF_FRAME_BYTES_MAX);
    millrace__plan__insert__init(&df->insert);
    millrace__plan__select__init(&df->select);
    millrace__plan__from__init(&df->from);
    df->insert.select = &df->select;
    df->select.from = &df->from;
    df->select.targets = df->targets;
    df->select.group_by = df->keys;
    df->from.table = df_frame_copy(df, table, "the table's name");
    return df;
}

void millrace_df_free(struct millrace_df *df)
{
    if (df == NULL || df == &no_memory_frame) {
        return;
    }
    check(df->magic == DF_MAGIC);
    arena_done(&df->arena);
    df->magic = 0;
    free(df);
}

bool df_frame_is_good(struct millrace_df *df)
{
    check(df->magic == DF_MAGIC);
    return !df->is_spoilt;
}

void df_frame_spoil(struct millrace_df *df, const char *what, const char *fix)
{
    if (df_frame_is_good(df)) {
        df->is_spoilt = true;
        (void)trouble_argument(&df->error, what, fix);
    }
}

static void spoil_memory(struct millrace_df *df)
{
    if (df_frame_is_good(df)) {
        df->is_spoilt = true;
        (void)trouble_status(&df->error, STATUS_NO_MEMORY, "cannot build the query");
    }
}

void *df_frame_take(struct millrace_df *df, size_t byte_count)
{
    void *bytes = df_frame_is_good(df) ? arena_take_array(&df->arena, 1, byte_count) : NULL;
    if (bytes == NULL) {
        spoil_memory(df);
    }
    return bytes;
}

char *df_frame_copy(struct millrace_df *df, const char *text, const char *what)
{
    if (text == NULL || text[0] == '\0') {
        char line[100];
        (void)snprintf(line, sizeof line, "%s is missing", what);
        df_frame_spoil(df, line, "give a text that is not empty");
        return NULL;
    }
    char *copy = df_frame_is_good(df) ? arena_copy_text(&df->arena, text, strlen(text)) : NULL;
    if (copy == NULL) {
        spoil_memory(df);
    }
    return copy;
}

Millrace__Plan__Expr *df_frame_part(struct millrace_df *df, struct millrace_expr *expr)
{
    if (!df_frame_is_good(df)) {
        return NULL;
    }
    if (expr == NULL || expr->df != df) {
        df_frame_spoil(df, expr == NULL ? "an expression is NULL" : "an expression is another's",
                       "make it with the functions of this frame");
        return NULL;
    }
    return &expr->message;
}

/* ---- what is done with the rows ---- */

static void set_window(struct millrace_df *df, const char *time, int64_t size_us,
                       Millrace__Plan__WindowKind kind)
{
    struct millrace_expr *column = millrace_df_column(df, time);
    Millrace__Plan__WindowCall *window = df_frame_take(df, sizeof *window);
    Millrace__Plan__Interval *size = df_frame_take(df, sizeof *size);
    if (column == NULL || window == NULL || size == NULL) {
        return;
    }
    if (df->from.window != NULL) {
        df_frame_spoil(df, "the frame has two windows", "call one of tumble, hop, session, once");
        return;
    }
    millrace__plan__window_call__init(window);
    millrace__plan__interval__init(size);
    size->micros = size_us;
    window->kind = kind;
    window->time = &column->message;
    window->size = size;
    df->from.window = window;
}

void millrace_df_tumble(struct millrace_df *df, const char *time, int64_t size_us)
{
    set_window(df, time, size_us, MILLRACE__PLAN__WINDOW_KIND__WINDOW_TUMBLE);
}

void millrace_df_hop(struct millrace_df *df, const char *time, int64_t slide_us, int64_t size_us)
{
    set_window(df, time, size_us, MILLRACE__PLAN__WINDOW_KIND__WINDOW_HOP);
    Millrace__Plan__Interval *slide = df_frame_take(df, sizeof *slide);
    if (slide != NULL) {
        millrace__plan__interval__init(slide);
        slide->micros = slide_us;
        df->from.window->slide = slide;
    }
}

void millrace_df_session(struct millrace_df *df, const char *time, int64_t gap_us)
{
    set_window(df, time, gap_us, MILLRACE__PLAN__WINDOW_KIND__WINDOW_SESSION);
}

/* `target` AND `condition`. */
static void add_condition(struct millrace_df *df, Millrace__Plan__Expr **target,
                          struct millrace_expr *condition)
{
    Millrace__Plan__Expr *part = df_frame_part(df, condition);
    if (part == NULL) {
        return;
    }
    if (*target == NULL) {
        *target = part;
        return;
    }
    struct millrace_expr *before = (struct millrace_expr *)(void *)*target;
    struct millrace_expr *both = millrace_df_op(df, before, "and", condition);
    if (both != NULL) {
        *target = &both->message;
    }
}

void millrace_df_where(struct millrace_df *df, struct millrace_expr *condition)
{
    add_condition(df, &df->select.where, condition);
}

void millrace_df_having(struct millrace_df *df, struct millrace_expr *condition)
{
    add_condition(df, &df->select.having, condition);
}

static bool has_room(struct millrace_df *df, size_t count)
{
    if (count == DF_FRAME_LIST_MAX) {
        df_frame_spoil(df, "too many columns, keys or settings", "a frame has at most 1,000");
    }
    return df_frame_is_good(df);
}

void millrace_df_group_by(struct millrace_df *df, struct millrace_expr *key)
{
    Millrace__Plan__Expr *part = df_frame_part(df, key);
    if (part != NULL && has_room(df, df->select.n_group_by)) {
        df->keys[df->select.n_group_by++] = part;
    }
}

static Millrace__Plan__Target *add_target(struct millrace_df *df)
{
    Millrace__Plan__Target *target =
        has_room(df, df->select.n_targets) ? df_frame_take(df, sizeof *target) : NULL;
    if (target != NULL) {
        millrace__plan__target__init(target);
        df->targets[df->select.n_targets++] = target;
    }
    return target;
}

void millrace_df_select(struct millrace_df *df, const char *name, struct millrace_expr *expr)
{
    Millrace__Plan__Expr *part = df_frame_part(df, expr);
    char *alias = name == NULL ? NULL : df_frame_copy(df, name, "the column's name");
    Millrace__Plan__Target *target = df_frame_is_good(df) ? add_target(df) : NULL;
    if (target != NULL) {
        target->expr = part;
        target->alias = alias == NULL ? target->alias : alias;
    }
}

void millrace_df_select_all(struct millrace_df *df)
{
    Millrace__Plan__Target *target = add_target(df);
    if (target != NULL) {
        target->is_star = true;
    }
}

void millrace_df_set(struct millrace_df *df, const char *name, const char *value)
{
    char full_name[100];
    (void)snprintf(full_name, sizeof full_name, "job.%s", name == NULL ? "" : name);
    Millrace__Plan__Setting *setting =
        has_room(df, df->setting_count) ? df_frame_take(df, sizeof *setting) : NULL;
    if (setting == NULL) {
        return;
    }
    millrace__plan__setting__init(setting);
    setting->name = df_frame_copy(df, full_name, "the setting's name");
    setting->value = df_frame_copy(df, value, "the setting's value");
    if (df_frame_is_good(df)) {
        df->settings[df->setting_count++] = setting;
    }
}

void millrace_df_into(struct millrace_df *df, const char *table)
{
    char *name = df_frame_copy(df, table, "the sink's name");
    if (name != NULL) {
        df->insert.table = name;
    }
}

/* ---- the end ---- */

static void check_whole(struct millrace_df *df)
{
    if (!df_frame_is_good(df)) {
        return;
    }
    if (df->insert.table[0] == '\0') {
        df_frame_spoil(df, "the frame has no sink", "call millrace_df_into()");
    } else if (df->select.n_targets == 0) {
        df_frame_spoil(df, "the frame selects nothing", "call millrace_df_select()");
    }
}

Millrace__Plan__Script *df_frame_script(struct millrace_df *df, bool is_explain)
{
    check_whole(df);
    size_t count = df->setting_count + 1;
    Millrace__Plan__Script *script = df_frame_take(df, sizeof *script);
    Millrace__Plan__Statement *statements = df_frame_take(df, count * sizeof *statements);
    Millrace__Plan__Statement **list = df_frame_take(df, count * sizeof *list);
    Millrace__Plan__Explain *explain = df_frame_take(df, sizeof *explain);
    if (script == NULL || statements == NULL || list == NULL || explain == NULL) {
        return NULL;
    }
    millrace__plan__script__init(script);
    for (size_t i = 0; i < count; i++) {
        millrace__plan__statement__init(&statements[i]);
        list[i] = &statements[i];
        if (i < df->setting_count) {
            statements[i].kind_case = MILLRACE__PLAN__STATEMENT__KIND_SETTING;
            statements[i].setting = df->settings[i];
        }
    }
    Millrace__Plan__Statement *last = &statements[count - 1];
    if (is_explain) {
        millrace__plan__explain__init(explain);
        explain->insert = &df->insert;
        last->kind_case = MILLRACE__PLAN__STATEMENT__KIND_EXPLAIN;
        last->explain = explain;
    } else {
        last->kind_case = MILLRACE__PLAN__STATEMENT__KIND_INSERT;
        last->insert = &df->insert;
    }
    script->version = SCRIPT_VERSION;
    script->statements = list;
    script->n_statements = count;
    return script;
}
