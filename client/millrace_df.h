/* libmillrace: streaming queries built call by call, as a data frame, in place of SQL.
 *
 *     SELECT window_start, count(*) FROM tumble(flights, scheduled_at, interval '3 hours')
 *     WHERE delay_min > 15 GROUP BY window_start
 *
 *     struct millrace_df *df = millrace_df_from("flights");
 *     struct millrace_expr *start = millrace_df_column(df, "window_start");
 *     millrace_df_tumble(df, "scheduled_at", 3 * MILLRACE_HOUR);
 *     millrace_df_where(df, millrace_df_op(df, millrace_df_column(df, "delay_min"), ">",
 *                                          millrace_df_int(df, 15)));
 *     millrace_df_group_by(df, start);
 *     millrace_df_select(df, NULL, start);
 *     millrace_df_select(df, NULL, millrace_df_count(df));
 *
 * Nothing is looked up before the start: names, types and rules are those of SQL, and a processor
 * checks them; tables are made with millrace_sql_run(). What a call cannot take (NULL, memory)
 * spoils the frame: later calls do nothing, and the end says what was wrong, so that nothing needs
 * to be checked on the way. Expressions belong to the frame, may be used several times in it, and
 * go with it.
 *
 * Include client.h. Owner: the application. Loop: any thread, one at a time. Limits: 16 MiB, 1,000
 * levels and 100,000 terms. C11 and C++. */
#pragma once

#include "client.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MILLRACE_MILLISECOND INT64_C(1000)
#define MILLRACE_SECOND (1000 * MILLRACE_MILLISECOND)
#define MILLRACE_MINUTE (60 * MILLRACE_SECOND)
#define MILLRACE_HOUR (60 * MILLRACE_MINUTE)
#define MILLRACE_DAY (24 * MILLRACE_HOUR)

enum millrace_type {
    MILLRACE_TYPE_BOOL = 1,
    MILLRACE_TYPE_INT = 2,
    MILLRACE_TYPE_BIGINT = 3,
    MILLRACE_TYPE_DOUBLE = 4,
    MILLRACE_TYPE_TEXT = 5,
    MILLRACE_TYPE_TIMESTAMPTZ = 6,
    MILLRACE_TYPE_INTERVAL = 7,
};

struct millrace_df;
struct millrace_expr;

/* Rows of a table. Never NULL; without memory it is a frame that says so at the end. */
MILLRACE_EXPORT struct millrace_df *millrace_df_from(const char *table);
MILLRACE_EXPORT void millrace_df_free(struct millrace_df *df); /* Accepts NULL. */

/* ---- what is done with them, in any order ---- */

/* Windows of a length in microseconds over a column of times. */
MILLRACE_EXPORT void millrace_df_tumble(struct millrace_df *df, const char *time, int64_t size_us);
MILLRACE_EXPORT void millrace_df_hop(struct millrace_df *df, const char *time, int64_t slide_us,
                                     int64_t size_us);
MILLRACE_EXPORT void millrace_df_session(struct millrace_df *df, const char *time, int64_t gap_us);
/* Several conditions must all hold. */
MILLRACE_EXPORT void millrace_df_where(struct millrace_df *df, struct millrace_expr *condition);
MILLRACE_EXPORT void millrace_df_having(struct millrace_df *df, struct millrace_expr *condition);
/* One more key. */
MILLRACE_EXPORT void millrace_df_group_by(struct millrace_df *df, struct millrace_expr *key);
/* One more column of the result; `name` may be NULL. */
MILLRACE_EXPORT void millrace_df_select(struct millrace_df *df, const char *name,
                                        struct millrace_expr *expr);
/* All columns of the table. */
MILLRACE_EXPORT void millrace_df_select_all(struct millrace_df *df);
/* As SET job.NAME = 'VALUE' before the query: name, output_mode, epoch, route_partitions, tasks. */
MILLRACE_EXPORT void millrace_df_set(struct millrace_df *df, const char *name, const char *value);
/* Where the rows go: a table, its columns in order. */
MILLRACE_EXPORT void millrace_df_into(struct millrace_df *df, const char *table);

/* ---- expressions ---- */

MILLRACE_EXPORT struct millrace_expr *millrace_df_column(struct millrace_df *df, const char *name);
MILLRACE_EXPORT struct millrace_expr *millrace_df_int(struct millrace_df *df, int64_t value);
MILLRACE_EXPORT struct millrace_expr *millrace_df_double(struct millrace_df *df, double value);
MILLRACE_EXPORT struct millrace_expr *millrace_df_bool(struct millrace_df *df, bool value);
MILLRACE_EXPORT struct millrace_expr *millrace_df_null(struct millrace_df *df);
/* Like 'text' in SQL, it is what stands beside it: also a time, a number. */
MILLRACE_EXPORT struct millrace_expr *millrace_df_text(struct millrace_df *df, const char *value);
/* Microseconds since 1970-01-01T00:00:00Z. */
MILLRACE_EXPORT struct millrace_expr *millrace_df_time(struct millrace_df *df, int64_t us);
MILLRACE_EXPORT struct millrace_expr *millrace_df_interval(struct millrace_df *df, int32_t months,
                                                           int32_t days, int64_t us);
/* = <> < <= > >= + - * / % and or */
MILLRACE_EXPORT struct millrace_expr *millrace_df_op(struct millrace_df *df,
                                                     struct millrace_expr *left,
                                                     const char *operation,
                                                     struct millrace_expr *right);
MILLRACE_EXPORT struct millrace_expr *millrace_df_not(struct millrace_df *df,
                                                      struct millrace_expr *expr);
MILLRACE_EXPORT struct millrace_expr *millrace_df_is_null(struct millrace_df *df,
                                                          struct millrace_expr *expr);
MILLRACE_EXPORT struct millrace_expr *
millrace_df_cast(struct millrace_df *df, struct millrace_expr *expr, enum millrace_type type);
/* count(*) */
MILLRACE_EXPORT struct millrace_expr *millrace_df_count(struct millrace_df *df);
/* A function of one argument: count, sum, avg, min, max, neg. */
MILLRACE_EXPORT struct millrace_expr *millrace_df_call(struct millrace_df *df, const char *function,
                                                       struct millrace_expr *argument);
/* An aggregate of the rows for which `condition` holds. */
MILLRACE_EXPORT struct millrace_expr *millrace_df_filter(struct millrace_df *df,
                                                         struct millrace_expr *aggregate,
                                                         struct millrace_expr *condition);
/* A CASE begins with its first branch; each call gives a longer one. Without an else it is null. */
MILLRACE_EXPORT struct millrace_expr *millrace_df_when(struct millrace_df *df,
                                                       struct millrace_expr *before,
                                                       struct millrace_expr *condition,
                                                       struct millrace_expr *result);
MILLRACE_EXPORT struct millrace_expr *millrace_df_else(struct millrace_df *df,
                                                       struct millrace_expr *before,
                                                       struct millrace_expr *result);

/* ---- the end ---- */

/* Starts the query as a job. Answer and error are those of millrace_sql_run(). */
MILLRACE_EXPORT int millrace_df_start(struct millrace_df *df, struct millrace_client *client,
                                      int64_t timeout_ms, struct millrace_sql_answer **out_answer,
                                      struct millrace_error *error);
/* The plan that a start would run, in the answer's text. */
MILLRACE_EXPORT int millrace_df_explain(struct millrace_df *df, struct millrace_client *client,
                                        int64_t timeout_ms, struct millrace_sql_answer **out_answer,
                                        struct millrace_error *error);
/* The query as packed millrace.plan.Script, valid until the frame is changed or freed. */
MILLRACE_EXPORT int millrace_df_script(struct millrace_df *df, struct millrace_bytes *out_script,
                                       struct millrace_error *error);

#ifdef __cplusplus
}
#endif
