/* Starts a query without SQL: hello-dataframe HOST:PORT; the tables flights and delays are there.
 */
#include <millrace/client.h>

int main(int count, char **arguments)
{
    struct millrace_client_options options = {.size = sizeof options};
    struct millrace_client *client = NULL;
    struct millrace_sql_answer *answer = NULL;
    struct millrace_error error = {0};
    struct millrace_df *df = millrace_df_from("flights");
    struct millrace_expr *start = millrace_df_column(df, "window_start");
    struct millrace_expr *miles = millrace_df_column(df, "distance_mi");
    struct millrace_expr *delay = millrace_df_column(df, "delay_min");
    struct millrace_expr *haul = NULL;
    haul = millrace_df_when(df, haul, millrace_df_op(df, miles, "<", millrace_df_int(df, 500)),
                            millrace_df_text(df, "short"));
    haul = millrace_df_when(df, haul, millrace_df_op(df, miles, "<", millrace_df_int(df, 1500)),
                            millrace_df_text(df, "medium"));
    haul = millrace_df_else(df, haul, millrace_df_text(df, "long"));
    millrace_df_tumble(df, "scheduled_at", 3 * MILLRACE_HOUR);
    millrace_df_group_by(df, start);
    millrace_df_group_by(df, haul);
    millrace_df_select(df, NULL, start);
    millrace_df_select(df, "haul", haul);
    millrace_df_select(df, NULL, millrace_df_count(df));
    millrace_df_select(df, NULL, millrace_df_call(df, "avg", delay));
    millrace_df_select(df, NULL, millrace_df_call(df, "max", delay));
    millrace_df_into(df, "delays");
    options.bootstrap = millrace_text(count == 2 ? arguments[1] : NULL);
    if (millrace_client_open(&options, &client, &error) ||
        millrace_df_start(df, client, 30000, &answer, &error))
        millrace_error_print(&error, stderr);
    else
        printf("job %s\n", (const char *)answer->results[0]->name.data);
    millrace_sql_free(answer);
    millrace_df_free(df);
    return millrace_client_close(client, 1000, NULL) || error.code;
}
