#include "client/shell/shell_options.h"

#include "client/shell/shell_error.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GUESS_BYTES_MAX 32U

const struct shell_option shell_options_global[] = {
    {"--bootstrap", "HOST:PORT,...", "brokers to ask first; or MILLRACE_BOOTSTRAP", false},
    {"-o", "table|json", "how results are shown: table on a terminal, else json", false},
    {"--help", NULL, "this text", false},
    {"--version", NULL, "the version", false},
    {NULL, NULL, NULL, false},
};

struct parser {
    shell_tables tables;
    int argument_count;
    const char *const *arguments;
    int next;
    struct shell_call *call;
};

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Edit distance, for guesses; long words are not worth one. */
static size_t distance(const char *a, const char *b)
{
    size_t a_bytes = strlen(a);
    size_t b_bytes = strlen(b);
    if (a_bytes >= GUESS_BYTES_MAX || b_bytes >= GUESS_BYTES_MAX) {
        return SIZE_MAX;
    }
    size_t row[GUESS_BYTES_MAX];
    for (size_t j = 0; j <= b_bytes; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= a_bytes; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_bytes; j++) {
            size_t above = row[j];
            size_t change = diagonal + (a[i - 1] == b[j - 1] ? 0U : 1U);
            row[j] = smaller(change, smaller(above, row[j - 1]) + 1U);
            diagonal = above;
        }
    }
    return row[b_bytes];
}

struct guess {
    const char *word;
    char best[GUESS_BYTES_MAX];
    size_t best_distance;
};

static void guess_try(struct guess *guess, const char *candidate, size_t byte_count)
{
    char word[GUESS_BYTES_MAX];
    if (byte_count >= sizeof word) {
        return;
    }
    memcpy(word, candidate, byte_count);
    word[byte_count] = '\0';
    size_t found = distance(guess->word, word);
    if (found < guess->best_distance) {
        guess->best_distance = found;
        memcpy(guess->best, word, byte_count + 1);
    }
}

static const struct shell_option *find_in(const struct shell_option *options, const char *name,
                                          size_t name_bytes)
{
    for (; options != NULL && options->name != NULL; options++) {
        if (strlen(options->name) == name_bytes && memcmp(options->name, name, name_bytes) == 0) {
            return options;
        }
    }
    return NULL;
}

static enum shell_exit fail_unknown_option(const struct parser *parser, const char *word)
{
    const struct shell_command *command = parser->call->command;
    struct guess guess = {.word = word, .best_distance = 4};
    const struct shell_option *lists[] = {shell_options_global,
                                          command == NULL ? NULL : command->options};
    for (size_t i = 0; i < 2; i++) {
        for (const struct shell_option *o = lists[i]; o != NULL && o->name != NULL; o++) {
            guess_try(&guess, o->name, strlen(o->name));
        }
    }
    const char *words = parser->call->words;
    const char *space = words[0] == '\0' ? "" : " ";
    char fix[160];
    if (guess.best[0] != '\0') {
        (void)snprintf(fix, sizeof fix, "did you mean %s? see millrace%s%s --help", guess.best,
                       space, words);
    } else {
        (void)snprintf(fix, sizeof fix, "see millrace%s%s --help", space, words);
    }
    return shell_fail(parser->call, (struct shell_cause){"USAGE", "there is no such option", fix},
                      "'%.100s' is not an option of 'millrace%s%s'", word, space, words);
}

static enum shell_exit take_global(struct parser *parser, const struct shell_option *option,
                                   const char *value)
{
    struct shell_call *call = parser->call;
    if (strcmp(option->name, "--help") == 0) {
        call->is_help = true;
    } else if (strcmp(option->name, "--version") == 0) {
        call->is_version = true;
    } else if (strcmp(option->name, "--bootstrap") == 0) {
        call->bootstrap = value;
    } else if (strcmp(value, "json") == 0) {
        call->format = SHELL_JSON;
    } else if (strcmp(value, "table") == 0) {
        call->format = SHELL_TABLE;
    } else {
        return shell_fail(call,
                          (struct shell_cause){"USAGE", "results are shown as table or as json",
                                               "use -o table or -o json"},
                          "-o '%.100s' is not a way to show results", value);
    }
    return SHELL_DONE;
}

/* The argument at `next`; -h is what many type for --help. */
static const char *next_word(const struct parser *parser)
{
    const char *word = parser->arguments[parser->next];
    return strcmp(word, "-h") == 0 ? "--help" : word;
}

/* The argument at `next` is an option. */
static enum shell_exit take_option(struct parser *parser)
{
    struct shell_call *call = parser->call;
    const char *word = next_word(parser);
    const char *equals = word[1] == '-' ? strchr(word, '=') : NULL;
    size_t name_bytes = equals == NULL ? strlen(word) : (size_t)(equals - word);
    const struct shell_option *global = find_in(shell_options_global, word, name_bytes);
    const struct shell_option *option = global;
    if (option == NULL && call->command != NULL) {
        option = find_in(call->command->options, word, name_bytes);
    }
    if (option == NULL) {
        return fail_unknown_option(parser, word);
    }
    parser->next += 1;
    const char *value = equals == NULL ? NULL : equals + 1;
    if (option->value == NULL && value != NULL) {
        return shell_fail(
            call, (struct shell_cause){"USAGE", "it is on when it is there", "leave the value out"},
            "%s takes no value", option->name);
    }
    if (option->value != NULL && value == NULL) {
        if (parser->next == parser->argument_count) {
            return shell_fail(call,
                              (struct shell_cause){"USAGE", "the arguments end behind it",
                                                   "put the value behind it"},
                              "%s needs a value: %s %s", option->name, option->name, option->value);
        }
        value = parser->arguments[parser->next];
        parser->next += 1;
    }
    if (global != NULL) {
        return take_global(parser, option, value);
    }
    if (!option->is_repeated && shell_options_has(call, option->name)) {
        return shell_fail(call,
                          (struct shell_cause){"USAGE", "it has one value", "give it only once"},
                          "%s is given twice", option->name);
    }
    call->given[call->given_count] = (struct shell_given){option, value};
    call->given_count += 1;
    return SHELL_DONE;
}

/* Does `words` name a command, or does a command go on behind it? */
static bool match_words(struct parser *parser, const char *words)
{
    bool is_prefix = false;
    size_t byte_count = strlen(words);
    for (shell_tables table = parser->tables; *table != NULL; table++) {
        for (const struct shell_command *command = *table; command->words != NULL; command++) {
            if (strcmp(command->words, words) == 0) {
                parser->call->command = command;
                is_prefix = true;
            } else if (strncmp(command->words, words, byte_count) == 0 &&
                       command->words[byte_count] == ' ') {
                is_prefix = true;
            }
        }
    }
    return is_prefix;
}

static enum shell_exit fail_unknown_command(const struct parser *parser, const char *word)
{
    const char *before = parser->call->words;
    size_t skip = before[0] == '\0' ? 0 : strlen(before) + 1;
    struct guess guess = {.word = word, .best_distance = 4};
    for (shell_tables table = parser->tables; *table != NULL; table++) {
        for (const struct shell_command *command = *table; command->words != NULL; command++) {
            if (skip == 0 || (strncmp(command->words, before, skip - 1) == 0 &&
                              command->words[skip - 1] == ' ')) {
                guess_try(&guess, command->words + skip, strcspn(command->words + skip, " "));
            }
        }
    }
    const char *space = skip == 0 ? "" : " ";
    char fix[160];
    if (guess.best[0] != '\0') {
        (void)snprintf(fix, sizeof fix, "did you mean 'millrace %s%s%s'? see millrace%s%s --help",
                       before, space, guess.best, space, before);
    } else {
        (void)snprintf(fix, sizeof fix, "see millrace%s%s --help", space, before);
    }
    return shell_fail(parser->call, (struct shell_cause){"USAGE", "there is no such command", fix},
                      "'millrace %s%s%.60s' is not a command", before, space, word);
}

static bool is_option(const char *word)
{
    return word[0] == '-' && word[1] != '\0';
}

/* The words of the command, with options of every command between them. */
static enum shell_exit parse_words(struct parser *parser)
{
    struct shell_call *call = parser->call;
    while (parser->next < parser->argument_count) {
        const char *word = next_word(parser);
        if (call->words[0] == '\0' && strcmp(word, "help") == 0) {
            call->is_help = true;
            parser->next += 1;
            continue;
        }
        if (is_option(word)) {
            if (call->command != NULL ||
                find_in(shell_options_global, word, strcspn(word, "=")) == NULL) {
                return call->command == NULL ? fail_unknown_option(parser, word) : SHELL_DONE;
            }
            enum shell_exit exit = take_option(parser);
            if (exit != SHELL_DONE) {
                return exit;
            }
            continue;
        }
        char words[sizeof call->words];
        int length = snprintf(words, sizeof words, "%s%s%s", call->words,
                              call->words[0] == '\0' ? "" : " ", word);
        if ((size_t)length >= sizeof words || !match_words(parser, words)) {
            return call->command == NULL ? fail_unknown_command(parser, word) : SHELL_DONE;
        }
        memcpy(call->words, words, sizeof words);
        parser->next += 1;
    }
    return SHELL_DONE;
}

static enum shell_exit take_operand(struct parser *parser, const char *word)
{
    struct shell_call *call = parser->call;
    if (call->operand_count == call->command->operand_count) {
        /* `dev strat broker-1` is a misspelt command, not an operand too many. */
        if (call->command->operand_count == 0) {
            return fail_unknown_command(parser, word);
        }
        return shell_fail(call,
                          (struct shell_cause){"USAGE", "the command takes fewer words",
                                               "quote a value that has blanks in it"},
                          "'%.100s' is one word too many behind 'millrace %s'", word, call->words);
    }
    call->operands[call->operand_count] = word;
    call->operand_count += 1;
    return SHELL_DONE;
}

static enum shell_exit parse_rest(struct parser *parser)
{
    struct shell_call *call = parser->call;
    bool has_options = true;
    while (parser->next < parser->argument_count) {
        const char *word = parser->arguments[parser->next];
        enum shell_exit exit = SHELL_DONE;
        if (has_options && strcmp(word, "--") == 0) {
            has_options = false;
            parser->next += 1;
        } else if (has_options && is_option(word)) {
            exit = take_option(parser);
        } else {
            parser->next += 1;
            exit = take_operand(parser, word);
        }
        if (exit != SHELL_DONE) {
            return exit;
        }
    }
    if (!call->is_help && !call->is_version && !call->command->is_operand_optional &&
        call->operand_count < call->command->operand_count) {
        char fix[160];
        (void)snprintf(fix, sizeof fix, "for example: %s", call->command->examples[0]);
        return shell_fail(call, (struct shell_cause){"USAGE", "a word is missing", fix},
                          "'millrace %s' needs %s", call->words, call->command->operands);
    }
    return SHELL_DONE;
}

/* Usage errors are told in the format that the arguments ask for, wherever -o stands. */
static enum shell_format guess_format(int argument_count, const char *const *arguments,
                                      bool is_terminal)
{
    enum shell_format format = is_terminal ? SHELL_TABLE : SHELL_JSON;
    for (int i = 1; i + 1 < argument_count; i++) {
        if (strcmp(arguments[i], "-o") == 0) {
            format = strcmp(arguments[i + 1], "json") == 0 ? SHELL_JSON : SHELL_TABLE;
        }
    }
    return format;
}

enum shell_exit shell_options_parse(shell_tables tables, int argument_count,
                                    const char *const *arguments,
                                    const struct shell_surroundings *surroundings,
                                    struct shell_call *out_call)
{
    struct shell_call *call = out_call;
    *call = (struct shell_call){
        .format = guess_format(argument_count, arguments, surroundings->is_terminal),
        .bootstrap = surroundings->bootstrap};
    if (call->bootstrap != NULL && call->bootstrap[0] == '\0') {
        call->bootstrap = NULL;
    }
    call->given = calloc((size_t)argument_count + 1, sizeof *call->given);
    if (call->given == NULL) {
        return shell_fail(call,
                          (struct shell_cause){"NO_MEMORY", "the system gives none", "free some"},
                          "there is no memory to begin with");
    }
    struct parser parser = {.tables = tables,
                            .argument_count = argument_count,
                            .arguments = arguments,
                            .next = 1,
                            .call = call};
    enum shell_exit exit = parse_words(&parser);
    if (exit != SHELL_DONE || call->command == NULL) {
        return exit;
    }
    return parse_rest(&parser);
}

void shell_options_free(struct shell_call *call)
{
    free(call->given);
    call->given = NULL;
    call->given_count = 0;
}

bool shell_options_has(const struct shell_call *call, const char *name)
{
    for (uint32_t i = 0; i < call->given_count; i++) {
        if (strcmp(call->given[i].option->name, name) == 0) {
            return true;
        }
    }
    return false;
}

const char *shell_options_text(const struct shell_call *call, const char *name)
{
    return shell_options_text_at(call, name, 0);
}

const char *shell_options_text_at(const struct shell_call *call, const char *name, uint32_t index)
{
    for (uint32_t i = 0; i < call->given_count; i++) {
        if (strcmp(call->given[i].option->name, name) != 0) {
            continue;
        }
        if (index == 0) {
            return call->given[i].value;
        }
        index -= 1;
    }
    return NULL;
}

bool shell_options_parse_number(const char *text, int64_t *out_number)
{
    const char *digits = text[0] == '-' ? text + 1 : text;
    if (digits[0] == '\0' || strspn(digits, "0123456789") != strlen(digits)) {
        return false;
    }
    errno = 0;
    long long number = strtoll(text, NULL, 10);
    if (errno != 0) {
        return false;
    }
    *out_number = number;
    return true;
}

enum shell_exit shell_options_number(const struct shell_call *call, const char *name,
                                     struct shell_range range, int64_t *out_number)
{
    const char *text = shell_options_text(call, name);
    if (text == NULL) {
        *out_number = range.initial;
        return SHELL_DONE;
    }
    int64_t number = 0;
    if (!shell_options_parse_number(text, &number)) {
        return shell_fail(
            call,
            (struct shell_cause){"USAGE", "a whole number must stand there", "write digits only"},
            "%s '%.100s' is not a number", name, text);
    }
    if (number < range.minimum || number > range.maximum) {
        char fix[96];
        (void)snprintf(fix, sizeof fix, "use %lld to %lld", (long long)range.minimum,
                       (long long)range.maximum);
        return shell_fail(call, (struct shell_cause){"USAGE", "it is out of bounds", fix},
                          "%s %.100s cannot be", name, text);
    }
    *out_number = number;
    return SHELL_DONE;
}
