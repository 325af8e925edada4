/* A fuzz target without a fuzzer: replays every seed, then seeded random changes of them.
 *
 * Usage: PROGRAM COUNT SEED FOLDER... A folder that is not there is skipped, but there must be a
 * seed. A crash names the input: the same COUNT and SEED meet it again.
 * Owner: main. Limits: inputs of INPUT_BYTES_MAX, INPUT_COUNT_MAX seeds. */
#include "proto/sys/check.h"
#include "proto/sys/prng.h"

#include <dirent.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define INPUT_BYTES_MAX ((size_t)1 << 17)
#define INPUT_COUNT_MAX 20000U

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count);

struct input {
    uint8_t *bytes; /* Owned. */
    size_t byte_count;
};

static struct input inputs[INPUT_COUNT_MAX];
static uint32_t input_count;
static uint8_t scratch[INPUT_BYTES_MAX];
static char where[100] = "before the first input\n";

static void report_on_signal(int number)
{
    ssize_t written = write(STDERR_FILENO, where, strlen(where));
    (void)written;
    signal(number, SIG_DFL);
    raise(number);
}

static void load_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    check(file != NULL);
    check(input_count < INPUT_COUNT_MAX);
    size_t byte_count = fread(scratch, 1, sizeof scratch, file);
    check(fclose(file) == 0);
    struct input *input = &inputs[input_count];
    input->bytes = malloc(byte_count);
    check(input->bytes != NULL || byte_count == 0);
    memcpy(input->bytes, scratch, byte_count);
    input->byte_count = byte_count;
    input_count += 1;
}

/* In the order of names, so that a seed means the same on every machine. */
static void load_folder(const char *folder)
{
    struct dirent **names = NULL;
    int name_count = scandir(folder, &names, NULL, alphasort);
    for (int i = 0; i < name_count; i++) {
        char path[4096];
        int length = snprintf(path, sizeof path, "%s/%s", folder, names[i]->d_name);
        check(length > 0 && (size_t)length < sizeof path);
        if (names[i]->d_name[0] != '.') {
            load_file(path);
        }
        free(names[i]);
    }
    free(names);
}

/* In a block of exactly its size, where a sanitizer sees each step out of it. */
static void run(const uint8_t *bytes, size_t byte_count)
{
    uint8_t *copy = malloc(byte_count);
    check(copy != NULL || byte_count == 0);
    memcpy(copy, bytes, byte_count);
    LLVMFuzzerTestOneInput(copy, byte_count);
    free(copy);
}

/* ---- changes; all work on `scratch` */

static uint64_t interesting_number(struct prng *prng)
{
    static const uint64_t numbers[] = {0,          1,          0x7f,      0x80,
                                       0xff,       0x7fff,     0x8000,    0x7fffffff,
                                       0x80000000, UINT32_MAX, INT64_MAX, UINT64_MAX};
    return numbers[prng_below(prng, sizeof numbers / sizeof numbers[0])];
}

static size_t change_insert(struct prng *prng, size_t byte_count, size_t place)
{
    size_t added = 1 + prng_below(prng, 8);
    if (byte_count + added > sizeof scratch) {
        return byte_count;
    }
    memmove(scratch + place + added, scratch + place, byte_count - place);
    prng_fill(prng, scratch + place, added);
    return byte_count + added;
}

static size_t change_remove(struct prng *prng, size_t byte_count, size_t place)
{
    size_t removed = 1 + prng_below(prng, 8);
    removed = removed > byte_count - place ? byte_count - place : removed;
    memmove(scratch + place, scratch + place + removed, byte_count - place - removed);
    return byte_count - removed;
}

static size_t change_number(struct prng *prng, size_t byte_count, size_t place)
{
    uint64_t number = interesting_number(prng);
    size_t width = (size_t)1 << prng_below(prng, 4);
    for (size_t i = 0; i < width && place + i < byte_count; i++) {
        scratch[place + i] = (uint8_t)(number >> 8 * (width - 1 - i));
    }
    return byte_count;
}

/* The tail of another seed. */
static size_t change_splice(struct prng *prng, size_t place)
{
    const struct input *other = &inputs[prng_below(prng, input_count)];
    size_t start = prng_below(prng, other->byte_count + 1);
    size_t taken = other->byte_count - start;
    taken = taken > sizeof scratch - place ? sizeof scratch - place : taken;
    memcpy(scratch + place, other->bytes + start, taken);
    return place + taken;
}

static size_t change_once(struct prng *prng, size_t byte_count)
{
    size_t place = prng_below(prng, byte_count + 1);
    switch (prng_below(prng, 8)) {
    case 0:
        return change_insert(prng, byte_count, place);
    case 1:
        return change_remove(prng, byte_count, place);
    case 2:
    case 3:
        return change_number(prng, byte_count, place);
    case 4:
        return change_splice(prng, place);
    case 5:
        return place; /* Cut. */
    default:
        if (place < byte_count) {
            scratch[place] ^= (uint8_t)(1U << prng_below(prng, 8));
        }
        return byte_count;
    }
}

static void run_changed(struct prng *prng)
{
    const struct input *input = &inputs[prng_below(prng, input_count)];
    memcpy(scratch, input->bytes, input->byte_count);
    size_t byte_count = input->byte_count;
    uint64_t change_count = 1 + prng_below(prng, 6);
    for (uint64_t i = 0; i < change_count; i++) {
        byte_count = change_once(prng, byte_count);
    }
    run(scratch, byte_count);
}

int main(int argument_count, char **arguments)
{
    check(argument_count > 3);
    uint64_t count = strtoull(arguments[1], NULL, 10);
    uint64_t seed = strtoull(arguments[2], NULL, 10);
    for (int i = 3; i < argument_count; i++) {
        load_folder(arguments[i]);
    }
    check(input_count > 0);
    signal(SIGABRT, report_on_signal);
    signal(SIGSEGV, report_on_signal);

    for (uint32_t i = 0; i < input_count; i++) {
        snprintf(where, sizeof where, "seed input %" PRIu32 "\n", i);
        run(inputs[i].bytes, inputs[i].byte_count);
    }
    struct prng prng;
    prng_init(&prng, seed);
    for (uint64_t i = 0; i < count; i++) {
        snprintf(where, sizeof where, "changed input %" PRIu64 " of seed %" PRIu64 "\n", i, seed);
        run_changed(&prng);
    }

    printf("%" PRIu32 " seeds, %" PRIu64 " changes, seed %" PRIu64 "\n", input_count, count, seed);
    for (uint32_t i = 0; i < input_count; i++) {
        free(inputs[i].bytes);
    }
    return 0;
}
