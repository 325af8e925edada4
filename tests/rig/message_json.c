#include "tests/rig/message_json.h"

#include "proto/sys/check.h"

#include <string.h>

static size_t element_size(const struct message_field *field)
{
    switch (field->kind) {
    case MESSAGE_FIELD_BOOL:
        return sizeof(bool);
    case MESSAGE_FIELD_INT8:
        return 1;
    case MESSAGE_FIELD_INT16:
    case MESSAGE_FIELD_UINT16:
        return 2;
    case MESSAGE_FIELD_INT32:
        return 4;
    case MESSAGE_FIELD_INT64:
    case MESSAGE_FIELD_FLOAT64:
        return 8;
    case MESSAGE_FIELD_TEXT:
        return sizeof(struct wire_text);
    case MESSAGE_FIELD_UUID:
        return sizeof(struct wire_uuid);
    case MESSAGE_FIELD_BYTES:
        return sizeof(struct wire_bytes);
    case MESSAGE_FIELD_RECORDS:
        return sizeof(struct wire_records);
    case MESSAGE_FIELD_STRUCT:
        return field->shape->byte_count;
    }
    check_unreachable("field outside its kinds");
}

/* ---- numbers of any width */

static int64_t get_number(enum message_field_kind kind, const uint8_t *place)
{
    int64_t wide = 0;
    int32_t word = 0;
    int16_t half = 0;
    uint16_t plain_half = 0;
    if (kind == MESSAGE_FIELD_INT64) {
        memcpy(&wide, place, sizeof wide);
    } else if (kind == MESSAGE_FIELD_INT32) {
        memcpy(&word, place, sizeof word);
        wide = word;
    } else if (kind == MESSAGE_FIELD_INT16) {
        memcpy(&half, place, sizeof half);
        wide = half;
    } else if (kind == MESSAGE_FIELD_UINT16) {
        memcpy(&plain_half, place, sizeof plain_half);
        wide = plain_half;
    } else if (kind == MESSAGE_FIELD_INT8) {
        wide = (int8_t)*place;
    } else {
        check(kind == MESSAGE_FIELD_BOOL);
        wide = *(const bool *)place;
    }
    return wide;
}

static void set_number(enum message_field_kind kind, uint8_t *place, int64_t number)
{
    int32_t word = (int32_t)number;
    int16_t half = (int16_t)number;
    if (kind == MESSAGE_FIELD_INT64) {
        memcpy(place, &number, sizeof number);
    } else if (kind == MESSAGE_FIELD_INT32) {
        memcpy(place, &word, sizeof word);
    } else if (kind == MESSAGE_FIELD_INT16 || kind == MESSAGE_FIELD_UINT16) {
        memcpy(place, &half, sizeof half);
    } else if (kind == MESSAGE_FIELD_INT8) {
        *place = (uint8_t)number;
    } else {
        check(kind == MESSAGE_FIELD_BOOL);
        *(bool *)place = number != 0;
    }
}

/* ---- base64, both alphabets */

static int sextet(char digit)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *found = memchr(alphabet, digit == '-' ? '+' : digit == '_' ? '/' : digit, 64);
    return found == NULL ? -1 : (int)(found - alphabet);
}

/* Bytes of `json` in the arena; a negative count when it is not base64. */
static struct wire_bytes decode_base64(const json_t *json, struct arena *arena)
{
    const char *digits = json_string_value(json);
    size_t digit_count = json_string_length(json);
    uint8_t *bytes = arena_take(arena, digit_count);
    if (digits == NULL || bytes == NULL) {
        return (struct wire_bytes){.byte_count = -1};
    }
    while (digit_count > 0 && digits[digit_count - 1] == '=') {
        digit_count -= 1;
    }
    uint32_t bits = 0;
    size_t byte_count = 0;
    for (size_t i = 0; i < digit_count; i++) {
        int value = sextet(digits[i]);
        if (value < 0) {
            return (struct wire_bytes){.byte_count = -1};
        }
        bits = bits << 6 | (uint32_t)value;
        if (i % 4 != 0) {
            bytes[byte_count] = (uint8_t)(bits >> (6 - 2 * (i % 4)));
            byte_count += 1;
        }
    }
    return (struct wire_bytes){.bytes = bytes, .byte_count = (int32_t)byte_count};
}

/* ---- comparing */

struct matching {
    int16_t version;
    struct arena arena;
    struct message_json_place *place; /* Innermost difference first. */
};

static bool struct_matches(struct matching *self, const struct message_shape *shape,
                           const uint8_t *value, const json_t *json);

static bool run_equals(int32_t byte_count, const void *bytes, const void *other, size_t other_count)
{
    return byte_count >= 0 && (size_t)byte_count == other_count &&
           (other_count == 0 || memcmp(bytes, other, other_count) == 0);
}

static bool text_matches(const uint8_t *place, const json_t *json)
{
    const struct wire_text *text = (const void *)place;
    if (text->byte_count < 0) {
        return json_is_null(json);
    }
    return json_is_string(json) && run_equals(text->byte_count, text->bytes,
                                              json_string_value(json), json_string_length(json));
}

static bool base64_matches(struct matching *self, struct wire_bytes run, const json_t *json)
{
    if (run.byte_count < 0) {
        return json_is_null(json);
    }
    struct wire_bytes expected = decode_base64(json, &self->arena);
    return expected.byte_count >= 0 &&
           run_equals(run.byte_count, run.bytes, expected.bytes, (size_t)expected.byte_count);
}

static bool element_matches(struct matching *self, const struct message_field *field,
                            const uint8_t *place, const json_t *json)
{
    const struct wire_records *records = (const void *)place;
    switch (field->kind) {
    case MESSAGE_FIELD_STRUCT:
        return struct_matches(self, field->shape, place, json);
    case MESSAGE_FIELD_TEXT:
        return text_matches(place, json);
    case MESSAGE_FIELD_UUID:
        return base64_matches(self, (struct wire_bytes){place, sizeof(struct wire_uuid)}, json);
    case MESSAGE_FIELD_BYTES:
        return base64_matches(self, *(const struct wire_bytes *)(const void *)place, json);
    case MESSAGE_FIELD_RECORDS:
        return records->slice_count <= 1 &&
               base64_matches(self, (struct wire_bytes){records->single.base, records->byte_count},
                              json);
    case MESSAGE_FIELD_FLOAT64:
        return json_is_number(json) &&
               json_number_value(json) == *(const double *)(const void *)place;
    case MESSAGE_FIELD_BOOL:
        return json_is_boolean(json) && json_boolean_value(json) == (*place != 0);
    case MESSAGE_FIELD_INT8:
    case MESSAGE_FIELD_INT16:
    case MESSAGE_FIELD_UINT16:
    case MESSAGE_FIELD_INT32:
    case MESSAGE_FIELD_INT64:
        return json_is_integer(json) && json_integer_value(json) == get_number(field->kind, place);
    }
    return false;
}

static bool is_default_struct(const struct message_shape *shape, const uint8_t *value);

static bool is_default_inner(const struct message_field *field, const uint8_t *place)
{
    const uint8_t *inner = field->is_pointer ? *(const uint8_t *const *)(const void *)place : place;
    if (inner == NULL || field->is_null_by_default) {
        return inner == NULL && field->is_null_by_default;
    }
    return is_default_struct(field->shape, inner);
}

static bool is_default(const struct message_field *field, const uint8_t *value)
{
    const uint8_t *place = value + field->place;
    int32_t empty = field->is_null_by_default ? -1 : 0;
    if (field->is_array) {
        return *(const int32_t *)(const void *)(value + field->count_place) == empty;
    }
    switch (field->kind) {
    case MESSAGE_FIELD_STRUCT:
        return is_default_inner(field, place);
    case MESSAGE_FIELD_TEXT:
        return ((const struct wire_text *)(const void *)place)->byte_count == empty;
    case MESSAGE_FIELD_BYTES:
        return ((const struct wire_bytes *)(const void *)place)->byte_count == empty;
    case MESSAGE_FIELD_RECORDS:
        return ((const struct wire_records *)(const void *)place)->byte_count == empty;
    case MESSAGE_FIELD_UUID:
        return wire_uuid_is_zero((const struct wire_uuid *)(const void *)place);
    case MESSAGE_FIELD_FLOAT64:
        return get_number(MESSAGE_FIELD_INT64, place) == 0;
    case MESSAGE_FIELD_BOOL:
    case MESSAGE_FIELD_INT8:
    case MESSAGE_FIELD_INT16:
    case MESSAGE_FIELD_UINT16:
    case MESSAGE_FIELD_INT32:
    case MESSAGE_FIELD_INT64:
        return get_number(field->kind, place) == field->default_number;
    }
    return false;
}

static bool is_default_struct(const struct message_shape *shape, const uint8_t *value)
{
    for (uint32_t i = 0; i < shape->field_count; i++) {
        if (!is_default(&shape->fields[i], value)) {
            return false;
        }
    }
    return true;
}

static bool field_matches(struct matching *self, const struct message_field *field,
                          const uint8_t *value, const json_t *json)
{
    const uint8_t *place = value + field->place;
    if (field->is_array) {
        int32_t count = *(const int32_t *)(const void *)(value + field->count_place);
        if (count < 0) {
            return json_is_null(json);
        }
        bool is_same = json_is_array(json) && json_array_size(json) == (size_t)count;
        const uint8_t *elements = *(const uint8_t *const *)(const void *)place;
        for (size_t i = 0; is_same && i < (size_t)count; i++) {
            is_same = element_matches(self, field, elements + i * element_size(field),
                                      json_array_get(json, i));
        }
        return is_same;
    }
    if (field->is_pointer) {
        const uint8_t *inner = *(const uint8_t *const *)(const void *)place;
        return inner == NULL ? json_is_null(json) : element_matches(self, field, inner, json);
    }
    return element_matches(self, field, place, json);
}

static bool struct_matches(struct matching *self, const struct message_shape *shape,
                           const uint8_t *value, const json_t *json)
{
    size_t met_count = 0;
    for (uint32_t i = 0; i < shape->field_count; i++) {
        const struct message_field *field = &shape->fields[i];
        const json_t *member = json_object_get(json, field->name);
        bool must_be_there = message_versions_have(field->versions, self->version) &&
                             !message_versions_have(field->tagged, self->version);
        bool is_same = member == NULL ? !must_be_there && is_default(field, value)
                                      : field_matches(self, field, value, member);
        met_count += member == NULL ? 0 : 1;
        if (!is_same) {
            if (self->place->field == NULL) {
                *self->place = (struct message_json_place){shape->name, field->name};
            }
            return false;
        }
    }
    if (met_count != json_object_size(json)) {
        *self->place = (struct message_json_place){shape->name, "a member that no field has"};
        return false;
    }
    return json_is_object(json);
}

bool message_json_matches(const struct message_shape *shape, int16_t version, const void *value,
                          const json_t *json, struct message_json_place *out_place)
{
    *out_place = (struct message_json_place){0};
    struct matching self = {.version = version, .place = out_place};
    arena_init(&self.arena, (size_t)1 << 26);
    bool is_same = struct_matches(&self, shape, value, json);
    arena_done(&self.arena);
    return is_same;
}

/* ---- reading */

static enum status read_run(const struct message_field *field, const json_t *json,
                            struct arena *arena, uint8_t *place)
{
    struct wire_bytes run = {.byte_count = -1};
    if (!json_is_null(json)) {
        run = decode_base64(json, arena);
        if (run.byte_count < 0) {
            return STATUS_INVALID;
        }
    }
    if (field->kind == MESSAGE_FIELD_UUID) {
        if (run.byte_count != sizeof(struct wire_uuid)) {
            return STATUS_INVALID;
        }
        memcpy(place, run.bytes, sizeof(struct wire_uuid));
    } else if (field->kind == MESSAGE_FIELD_BYTES) {
        memcpy(place, &run, sizeof run);
    } else {
        struct wire_records records = {.byte_count = run.byte_count,
                                       .slice_count = run.byte_count > 0 ? 1 : 0,
                                       .single = {run.bytes, (size_t)run.byte_count}};
        memcpy(place, &records, sizeof records);
    }
    return STATUS_OK;
}

static enum status read_element(const struct message_field *field, const json_t *json,
                                struct arena *arena, uint8_t *place)
{
    struct wire_text text = {.byte_count = -1};
    double real = json_number_value(json);
    switch (field->kind) {
    case MESSAGE_FIELD_STRUCT:
        return message_json_read(field->shape, json, arena, place);
    case MESSAGE_FIELD_TEXT:
        if (json_is_string(json)) {
            text = (struct wire_text){json_string_value(json), (int32_t)json_string_length(json)};
        }
        memcpy(place, &text, sizeof text);
        return STATUS_OK;
    case MESSAGE_FIELD_UUID:
    case MESSAGE_FIELD_BYTES:
    case MESSAGE_FIELD_RECORDS:
        return read_run(field, json, arena, place);
    case MESSAGE_FIELD_FLOAT64:
        memcpy(place, &real, sizeof real);
        return STATUS_OK;
    case MESSAGE_FIELD_BOOL:
        set_number(field->kind, place, json_is_true(json) ? 1 : 0);
        return STATUS_OK;
    case MESSAGE_FIELD_INT8:
    case MESSAGE_FIELD_INT16:
    case MESSAGE_FIELD_UINT16:
    case MESSAGE_FIELD_INT32:
    case MESSAGE_FIELD_INT64:
        set_number(field->kind, place, json_integer_value(json));
        return json_is_integer(json) ? STATUS_OK : STATUS_INVALID;
    }
    return STATUS_INVALID;
}

static enum status read_field(const struct message_field *field, const json_t *json,
                              struct arena *arena, uint8_t *value)
{
    uint8_t *place = value + field->place;
    if (!field->is_array && !field->is_pointer) {
        return read_element(field, json, arena, place);
    }
    bool is_null = json_is_null(json);
    size_t count = field->is_array ? json_array_size(json) : 1;
    uint8_t *elements = is_null ? NULL : arena_take_array(arena, count, element_size(field));
    if (!is_null && elements == NULL) {
        return STATUS_NO_MEMORY;
    }
    memcpy(place, &elements, sizeof elements);
    if (field->is_array) {
        int32_t told = is_null ? -1 : (int32_t)count;
        memcpy(value + field->count_place, &told, sizeof told);
    }
    for (size_t i = 0; !is_null && i < count; i++) {
        const json_t *element = field->is_array ? json_array_get(json, i) : json;
        TRY(read_element(field, element, arena, elements + i * element_size(field)));
    }
    return STATUS_OK;
}

enum status message_json_read(const struct message_shape *shape, const json_t *json,
                              struct arena *arena, void *out)
{
    if (!json_is_object(json)) {
        return STATUS_INVALID;
    }
    shape->defaults(out);
    for (uint32_t i = 0; i < shape->field_count; i++) {
        const json_t *member = json_object_get(json, shape->fields[i].name);
        if (member != NULL) {
            TRY(read_field(&shape->fields[i], member, arena, out));
        }
    }
    return STATUS_OK;
}
