#include "proto/sys/address.h"

#include <string.h>

/* Splits at the last colon, or behind the bracket of "[v6]:port". NULL: no such form. */
static const char *parse_split(const char *text, const char **out_host, size_t *out_host_count)
{
    if (text[0] == '[') {
        const char *bracket = strchr(text, ']');
        if (bracket == NULL || bracket[1] != ':') {
            return NULL;
        }
        *out_host = text + 1;
        *out_host_count = (size_t)(bracket - text - 1);
        return bracket + 2;
    }
    const char *colon = strrchr(text, ':');
    /* A second colon would be a v6 address without brackets, whose end nobody can tell. */
    if (colon == NULL || memchr(text, ':', (size_t)(colon - text)) != NULL) {
        return NULL;
    }
    *out_host = text;
    *out_host_count = (size_t)(colon - text);
    return colon + 1;
}

static enum status parse_port(const char *text, uint16_t *out_port)
{
    uint32_t port = 0;
    for (const char *at = text; *at != '\0'; at++) {
        if (*at < '0' || *at > '9') {
            return STATUS_MALFORMED;
        }
        port = port * 10 + (uint32_t)(*at - '0');
        if (port > UINT16_MAX) {
            return STATUS_MALFORMED;
        }
    }
    if (text[0] == '\0') {
        return STATUS_MALFORMED;
    }
    *out_port = (uint16_t)port;
    return STATUS_OK;
}

enum status address_parse(const char *text, struct address *out_address)
{
    const char *host = NULL;
    size_t host_count = 0;
    const char *port_text = parse_split(text, &host, &host_count);
    if (port_text == NULL || host_count == 0 || host_count >= ADDRESS_HOST_BYTES_MAX) {
        return STATUS_MALFORMED;
    }
    for (size_t i = 0; i < host_count; i++) {
        /* Bytes that no name or address has; a blank or newline would end up in traces. */
        if (host[i] <= ' ' || host[i] > '~' || strchr("[]/@\"'\\", host[i]) != NULL) {
            return STATUS_MALFORMED;
        }
    }
    struct address address = {.port = 0};
    TRY(parse_port(port_text, &address.port));
    memcpy(address.host, host, host_count);
    *out_address = address;
    return STATUS_OK;
}

bool address_is_loopback(const struct address *self)
{
    bool is_number = self->host[strspn(self->host, "0123456789.")] == '\0';
    return (is_number && strncmp(self->host, "127.", 4) == 0) || strcmp(self->host, "::1") == 0 ||
           strcmp(self->host, "localhost") == 0;
}
