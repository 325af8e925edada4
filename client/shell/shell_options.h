/* Reads the arguments of the program into a call, and the values of a call's options.
 *
 * Options may stand anywhere, as `--name value` or `--name=value`; `--` ends them. `--bootstrap`,
 * `-o`, `--help` and `--version` belong to every command. What is wrong is said on the spot, with a
 * guess at what was meant.
 *
 * Owner: main. Loop: none. Limits: those of shell_command.h. */
#pragma once

#include "client/shell/shell_command.h"

#include <stdint.h>

/* What the program's surroundings say, given so that tests can say otherwise. */
struct shell_surroundings {
    const char *bootstrap; /* MILLRACE_BOOTSTRAP; may be NULL. */
    bool is_terminal;      /* Standard output is one. */
};

/* `out_call` borrows the arguments. Free it in any case. */
enum shell_exit shell_options_parse(shell_tables tables, int argument_count,
                                    const char *const *arguments,
                                    const struct shell_surroundings *surroundings,
                                    struct shell_call *out_call);
void shell_options_free(struct shell_call *call);

/* Those that every command has; ends with a NULL name. */
extern const struct shell_option shell_options_global[];

bool shell_options_has(const struct shell_call *call, const char *name);
/* NULL: not given. */
const char *shell_options_text(const struct shell_call *call, const char *name);
/* The `index`-th one given; NULL: there are not so many. */
const char *shell_options_text_at(const struct shell_call *call, const char *name, uint32_t index);

struct shell_range {
    int64_t initial; /* When the option is not given. */
    int64_t minimum;
    int64_t maximum;
};
/* SHELL_USAGE, said already, when it is no whole number of the range. */
enum shell_exit shell_options_number(const struct shell_call *call, const char *name,
                                     struct shell_range range, int64_t *out_number);
/* Decimal digits with an optional minus sign and nothing else. */
bool shell_options_parse_number(const char *text, int64_t *out_number);
