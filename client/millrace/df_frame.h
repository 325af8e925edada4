/* A data frame as it is built: the statements of a Script, and what spoilt it.
 *
 * Owner: the application. Loop: any thread, one at a time. Limits: DF_FRAME_BYTES_MAX,
 * DF_FRAME_LEVELS_MAX, DF_FRAME_TERMS_MAX, DF_FRAME_LIST_MAX. */
#pragma once

#include "client/client.h"
#include "client/millrace_df.h"
#include "proto/internal/plan.pb-c.h"
#include "proto/sys/arena.h"

#define DF_FRAME_BYTES_MAX ((size_t)16 << 20)
#define DF_FRAME_LEVELS_MAX 1000U
#define DF_FRAME_TERMS_MAX 100000U /* As written out: what is used twice counts twice. */
#define DF_FRAME_LIST_MAX 1000U    /* Columns, keys, settings. */

/* The message comes first and is what others point at. */
struct millrace_expr {
    Millrace__Plan__Expr message;
    struct millrace_df *df;
    uint32_t level_count;
    uint32_t term_count;
};

struct millrace_df {
    uint32_t magic;
    struct arena arena; /* Holds all but the frame itself. */
    bool is_spoilt;
    struct millrace_error error; /* Of the first mistake. */
    Millrace__Plan__Insert insert;
    Millrace__Plan__Select select;
    Millrace__Plan__From from;
    size_t setting_count;
    Millrace__Plan__Setting *settings[DF_FRAME_LIST_MAX];
    Millrace__Plan__Target *targets[DF_FRAME_LIST_MAX];
    Millrace__Plan__Expr *keys[DF_FRAME_LIST_MAX];
};

/* False: the frame is spoilt, and nothing is to be done. */
bool df_frame_is_good(struct millrace_df *df);
void df_frame_spoil(struct millrace_df *df, const char *what, const char *fix);
/* Memory of the frame, cleared; NULL spoils it. */
void *df_frame_take(struct millrace_df *df, size_t byte_count);
/* NULL, also for a NULL `text`, spoils it. `what` as in "the column's name". */
char *df_frame_copy(struct millrace_df *df, const char *text, const char *what);
/* The expression as a part of the frame; NULL, or another frame's, spoils it and gives NULL. */
Millrace__Plan__Expr *df_frame_part(struct millrace_df *df, struct millrace_expr *expr);
/* Statements of the frame; `is_explain`: the last one only explains. NULL: spoilt, `df->error`. */
Millrace__Plan__Script *df_frame_script(struct millrace_df *df, bool is_explain);
