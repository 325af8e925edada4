#include "broker/metadata/topic_name.h"

#include "broker/metadata/image.h"

#include <string.h>

bool topic_name_is_valid(struct wire_text name)
{
    if (name.byte_count <= 0 || name.byte_count > (int32_t)IMAGE_TOPIC_NAME_BYTES_MAX) {
        return false;
    }
    if (wire_text_equals(name, ".") || wire_text_equals(name, "..")) {
        return false;
    }
    for (int32_t i = 0; i < name.byte_count; i++) {
        char c = name.bytes[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        bool is_other = (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
        if (!is_letter && !is_other) {
            return false;
        }
    }
    return true;
}
