#include "processor/text/nearest_word.h"

#include <stdbool.h>
#include <string.h>

static char lower(char byte)
{
    return byte >= 'A' && byte <= 'Z' ? (char)(byte - 'A' + 'a') : byte;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Optimal string alignment; three rows of the table are enough. */
static size_t distance(const char *a, size_t a_bytes, const char *b, size_t b_bytes)
{
    size_t rows[3][NEAREST_WORD_BYTES_MAX + 1];
    for (size_t j = 0; j <= b_bytes; j++) {
        rows[0][j] = j;
    }
    for (size_t i = 1; i <= a_bytes; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i - 1) % 3];
        const size_t *above_two = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b_bytes; j++) {
            bool is_same = lower(a[i - 1]) == lower(b[j - 1]);
            row[j] = smaller(above[j], row[j - 1]) + 1;
            row[j] = smaller(row[j], above[j - 1] + (is_same ? 0 : 1));
            if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) &&
                lower(a[i - 2]) == lower(b[j - 1])) {
                row[j] = smaller(row[j], above_two[j - 2] + 1);
            }
        }
    }
    return rows[a_bytes % 3][b_bytes];
}

const char *nearest_word(const char *word, size_t word_bytes, const char *const *words,
                         size_t count)
{
    const char *best = NULL;
    if (word_bytes > NEAREST_WORD_BYTES_MAX) {
        return NULL;
    }
    size_t best_distance = word_bytes / 3 + 1;
    for (size_t i = 0; i < count; i++) {
        size_t bytes = strlen(words[i]);
        if (bytes > NEAREST_WORD_BYTES_MAX) {
            continue;
        }
        size_t changes = distance(word, word_bytes, words[i], bytes);
        if (changes < best_distance) {
            best_distance = changes;
            best = words[i];
        }
    }
    return best;
}
