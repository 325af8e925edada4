#include "tests/rig/golden_datadir.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define TAR_BLOCK_BYTES 512U
#define ARCHIVE_BYTES_MAX (1U << 20)
#define EXPECTED_BYTES_MAX (4U << 20)

static uint8_t *unpack(const char *path, size_t byte_count_max, size_t *out_byte_count)
{
    gzFile file = gzopen(path, "rb");
    cr_assert_not_null(file, "%s", path);
    uint8_t *bytes = malloc(byte_count_max);
    cr_assert_not_null(bytes);
    int byte_count = gzread(file, bytes, (unsigned)byte_count_max);
    cr_assert(byte_count > 0 && (size_t)byte_count < byte_count_max, "%s", path);
    gzclose(file);
    *out_byte_count = (size_t)byte_count;
    return bytes;
}

void golden_datadir_open(struct golden_datadir *self)
{
    self->archive =
        unpack(GOLDEN_DIR "/datadir/data.tar.gz", ARCHIVE_BYTES_MAX, &self->archive_bytes);
    size_t line_bytes = 0;
    uint8_t *lines =
        unpack(GOLDEN_DIR "/datadir/expected.jsonl.gz", EXPECTED_BYTES_MAX, &line_bytes);
    lines[line_bytes] = 0;
    self->expected = json_array();
    char *rest = (char *)lines;
    for (char *line = strsep(&rest, "\n"); line != NULL; line = strsep(&rest, "\n")) {
        if (line[0] == 0) {
            continue;
        }
        json_t *parsed = json_loads(line, 0, NULL);
        cr_assert_not_null(parsed);
        json_array_append_new(self->expected, parsed);
    }
    free(lines);
}

void golden_datadir_close(struct golden_datadir *self)
{
    free(self->archive);
    json_decref(self->expected);
    *self = (struct golden_datadir){0};
}

/* Files and directories of a tar, each a header block and its content in whole blocks. */
bool golden_datadir_file_at(const struct golden_datadir *self, size_t position,
                            struct golden_file *out_file)
{
    size_t place = 0;
    while (place + TAR_BLOCK_BYTES <= self->archive_bytes && self->archive[place] != 0) {
        const char *header = (const char *)self->archive + place;
        size_t byte_count = strtoul(header + 124, NULL, 8);
        bool is_file = header[156] == '0';
        cr_assert(is_file || header[156] == '5', "an archive of plain entries");
        if (is_file && position == 0) {
            *out_file = (struct golden_file){
                .name = strncmp(header, "./", 2) == 0 ? header + 2 : header,
                .bytes = self->archive + place + TAR_BLOCK_BYTES,
                .byte_count = byte_count,
            };
            return true;
        }
        position -= is_file ? 1 : 0;
        place += TAR_BLOCK_BYTES +
                 (byte_count + TAR_BLOCK_BYTES - 1) / TAR_BLOCK_BYTES * TAR_BLOCK_BYTES;
    }
    return false;
}

struct golden_file golden_datadir_file(const struct golden_datadir *self, const char *name)
{
    struct golden_file file = {0};
    for (size_t i = 0; golden_datadir_file_at(self, i, &file); i++) {
        if (strcmp(file.name, name) == 0) {
            return file;
        }
    }
    cr_assert_fail("no golden file %s", name);
    return file;
}

const json_t *golden_datadir_expected(const struct golden_datadir *self, const char *name)
{
    const json_t *found = NULL;
    for (size_t i = 0; i < json_array_size(self->expected); i++) {
        const json_t *line = json_array_get(self->expected, i);
        if (strcmp(golden_datadir_text(line, "file"), name) == 0) {
            cr_assert_null(found, "%s has several lines", name);
            found = line;
        }
    }
    cr_assert_not_null(found, "nothing is said about %s", name);
    return found;
}

int64_t golden_datadir_number(const json_t *object, const char *member)
{
    const json_t *value = json_object_get(object, member);
    cr_assert(json_is_integer(value), "%s is no number", member);
    return json_integer_value(value);
}

const char *golden_datadir_text(const json_t *object, const char *member)
{
    const char *text = json_string_value(json_object_get(object, member));
    cr_assert_not_null(text, "%s is no text", member);
    return text;
}
