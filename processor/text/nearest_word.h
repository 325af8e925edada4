/* "Did you mean …?": the word of a list that another one is most likely a misspelling of.
 *
 * Owner: nobody. Loop: any. Limits: NEAREST_WORD_BYTES_MAX; longer words are near to nothing. */
#pragma once

#include <stddef.h>

#define NEAREST_WORD_BYTES_MAX 64U

/* Counted in insertions, deletions, changes and swaps of neighbours; case does not count. NULL when
 * more than a third of the word would have to change. */
const char *nearest_word(const char *word, size_t word_bytes, const char *const *words,
                         size_t count);
