#include "broker/log/meta_properties.h"

#include "broker/log/text_lines.h"
#include "proto/sys/check.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define META_VERSION 1
#define PART_BYTES_MAX 255U /* Of a key or value after its escapes. */

struct part {
    char text[PART_BYTES_MAX + 1];
    size_t byte_count;
};

enum property { VERSION, CLUSTER_ID, NODE_ID, DIRECTORY_ID, PROPERTY_COUNT };

static const char *const property_names[PROPERTY_COUNT] = {
    [VERSION] = "version",
    [CLUSTER_ID] = "cluster.id",
    [NODE_ID] = "node.id",
    [DIRECTORY_ID] = "directory.id",
};

static bool is_blank(char character)
{
    return character == ' ' || character == '\t' || character == '\f';
}

static void skip_blanks(struct wire_text *text)
{
    while (text->byte_count > 0 && is_blank(text->bytes[0])) {
        text->bytes += 1;
        text->byte_count -= 1;
    }
}

/* Takes a key (up to a separator) or a value (up to the end). */
static bool take_part(struct wire_text *text, bool is_key, struct part *out_part)
{
    out_part->byte_count = 0;
    while (text->byte_count > 0) {
        char character = text->bytes[0];
        if (is_key && (character == '=' || character == ':' || is_blank(character))) {
            break;
        }
        int32_t width = 1;
        if (character == '\\') {
            /* No value of ours continues on another line or needs a \u escape. */
            if (text->byte_count == 1 || text->bytes[1] == 'u') {
                return false;
            }
            character = text->bytes[1];
            width = 2;
        }
        if (out_part->byte_count == PART_BYTES_MAX) {
            return false;
        }
        out_part->text[out_part->byte_count] = character;
        out_part->byte_count += 1;
        text->bytes += width;
        text->byte_count -= width;
    }
    out_part->text[out_part->byte_count] = 0;
    return true;
}

static bool take_pair(struct wire_text line, struct part *out_key, struct part *out_value)
{
    if (!take_part(&line, true, out_key)) {
        return false;
    }
    skip_blanks(&line);
    if (line.byte_count > 0 && (line.bytes[0] == '=' || line.bytes[0] == ':')) {
        line.bytes += 1;
        line.byte_count -= 1;
        skip_blanks(&line);
    }
    return take_part(&line, false, out_value);
}

/* Printable ASCII: what can be written again on one line. */
static bool is_id(const char *text, size_t byte_count)
{
    for (size_t i = 0; i < byte_count; i++) {
        if (text[i] < ' ' || text[i] > '~') {
            return false;
        }
    }
    return byte_count > 0 && byte_count <= META_PROPERTIES_ID_BYTES_MAX;
}

static bool number_of(const struct part *value, int64_t *out_number)
{
    struct wire_text text = {.bytes = value->text, .byte_count = (int32_t)value->byte_count};
    return text_lines_number(text, INT32_MAX, false, out_number);
}

static enum status apply(enum property property, const struct part *value,
                         struct meta_properties *properties)
{
    int64_t number = 0;
    switch (property) {
    case VERSION:
        if (!number_of(value, &number)) {
            return STATUS_MALFORMED;
        }
        return number == META_VERSION ? STATUS_OK : STATUS_UNSUPPORTED;
    case NODE_ID:
        if (!number_of(value, &number)) {
            return STATUS_MALFORMED;
        }
        properties->node_id = (int32_t)number;
        return STATUS_OK;
    case CLUSTER_ID:
    case DIRECTORY_ID:
        if (!is_id(value->text, value->byte_count)) {
            return STATUS_MALFORMED;
        }
        memcpy(property == CLUSTER_ID ? properties->cluster_id : properties->directory_id,
               value->text, value->byte_count + 1);
        return STATUS_OK;
    case PROPERTY_COUNT:
        break;
    }
    check_unreachable("a property without a case");
}

static enum property find_property(const struct part *key)
{
    enum property property = VERSION;
    while (property < PROPERTY_COUNT && strcmp(property_names[property], key->text) != 0) {
        property += 1;
    }
    return property;
}

enum status meta_properties_decode(const uint8_t *bytes, size_t byte_count,
                                   struct meta_properties *out_properties)
{
    if (byte_count > META_PROPERTIES_BYTES_MAX) {
        return STATUS_MALFORMED;
    }
    struct meta_properties properties = {.node_id = -1};
    bool is_seen[PROPERTY_COUNT] = {false};
    struct text_lines lines;
    text_lines_init(&lines, bytes, byte_count);
    struct wire_text line;
    while (text_lines_step(&lines, &line)) {
        skip_blanks(&line);
        if (line.byte_count == 0 || line.bytes[0] == '#' || line.bytes[0] == '!') {
            continue;
        }
        struct part key;
        struct part value;
        if (!take_pair(line, &key, &value)) {
            return STATUS_MALFORMED;
        }
        enum property property = find_property(&key);
        if (property == PROPERTY_COUNT) {
            continue;
        }
        if (is_seen[property]) {
            return STATUS_MALFORMED;
        }
        is_seen[property] = true;
        TRY(apply(property, &value, &properties));
    }
    if (!is_seen[VERSION]) {
        return STATUS_MALFORMED;
    }
    *out_properties = properties;
    return STATUS_OK;
}

/* "key=value" with the escapes that the value needs. */
static size_t put_pair(char *out_bytes, enum property property, const char *value)
{
    size_t used =
        (size_t)snprintf(out_bytes, META_PROPERTIES_BYTES_MAX, "%s=", property_names[property]);
    for (size_t i = 0; value[i] != 0; i++) {
        if (strchr("\\:=#! ", value[i]) != NULL) {
            out_bytes[used++] = '\\';
        }
        out_bytes[used++] = value[i];
    }
    out_bytes[used++] = '\n';
    return used;
}

size_t meta_properties_encode(const struct meta_properties *self, char *out_bytes)
{
    size_t used = put_pair(out_bytes, VERSION, "1");
    if (self->cluster_id[0] != 0) {
        check(is_id(self->cluster_id, strlen(self->cluster_id)));
        used += put_pair(out_bytes + used, CLUSTER_ID, self->cluster_id);
    }
    if (self->node_id >= 0) {
        char node_id[16];
        check(snprintf(node_id, sizeof node_id, "%" PRId32, self->node_id) > 0);
        used += put_pair(out_bytes + used, NODE_ID, node_id);
    }
    if (self->directory_id[0] != 0) {
        check(is_id(self->directory_id, strlen(self->directory_id)));
        used += put_pair(out_bytes + used, DIRECTORY_ID, self->directory_id);
    }
    check(used < META_PROPERTIES_BYTES_MAX);
    return used;
}
