"""Turns schema files into C: gen.py FOLDER SCHEMA... writes NAME.h and NAME.c for each
NAME.schema and api_key_table.h for all of them. Notation: schema/README.md; what comes out of
it: README.md. Files that would not change are left alone, so that nothing is built twice."""
import pathlib
import sys

sys.dont_write_bytecode = True
import schema  # noqa: E402

C_TYPE = {'bool': 'bool', 'int8': 'int8_t', 'int16': 'int16_t', 'uint16': 'uint16_t',
          'int32': 'int32_t', 'int64': 'int64_t', 'float64': 'double', 'uuid': 'struct wire_uuid',
          'string': 'struct wire_text', 'bytes': 'struct wire_bytes',
          'records': 'struct wire_records'}
SIZED_WORD = {'string': 'text', 'bytes': 'bytes', 'records': 'records'}

HEADER = '''/* Generated from {stem}.schema by gen.py; the schema is what to change.
 *
 * Fields carry the versions that have them. Texts, bytes and record runs that come out of decode
 * point into the input, everything else lies in the arena.
 * Owner: the caller. Loop: any. */
#pragma once

#include "proto/sys/arena.h"
#include "proto/wire/reader.h"
#include "proto/wire/writer.h"
'''

ENTRY = '''
#define {upper}_VERSION_MIN {low}
#define {upper}_VERSION_MAX {high}

/* On failure `out` is untouched. Bytes behind the message are left in the reader. */
MUST_USE enum status {name}_decode(struct wire_reader *reader, int16_t version,
    struct arena *arena, struct {name} *out);
/* Failures are the writer's: STATUS_UNSUPPORTED for a version that does not exist or lacks a field
 * that is set and may not be dropped, STATUS_INVALID for null where none may be. */
void {name}_encode(const struct {name} *in, int16_t version, struct wire_writer *writer);
'''

ENTRY_BODY = '''
enum status {name}_decode(struct wire_reader *reader, int16_t version, struct arena *arena,
                          struct {name} *out)
{{
    struct codec_decoding self = {{reader, arena, version, {flexible}}};
    struct {name} decoded;
    if (version < {low} || version > {high}) {{
        wire_reader_fail(reader, STATUS_UNSUPPORTED);
        return wire_reader_status(reader);
    }}
    decode_{short}(&self, &decoded);
    if (wire_reader_status(reader) == STATUS_OK) {{
        *out = decoded;
    }}
    return wire_reader_status(reader);
}}

void {name}_encode(const struct {name} *in, int16_t version, struct wire_writer *writer)
{{
    struct codec_encoding self = {{writer, version, {flexible}}};
    if (version < {low} || version > {high}) {{
        wire_writer_fail(writer, STATUS_UNSUPPORTED);
        return;
    }}
    encode_{short}(&self, in);
}}
'''


def condition(span, around):
    """C for "the version is in `span`" where it is known to be in `around`."""
    if not span & around:
        return 'false'
    parts = []
    if span.low > around.low:
        parts.append(f'self->version >= {span.low}')
    if span.high < around.high:
        parts.append(f'self->version <= {span.high}')
    return ' && '.join(parts) or 'true'


def within(test, lines, otherwise=()):
    """`lines` under a condition, which may be known already."""
    if test == 'true':
        return list(lines)
    if test == 'false':
        return list(otherwise)
    indent = lambda inner: ['    ' + line for line in inner]
    if not lines:
        return [f'if (!({test})) {{', *indent(otherwise), '}'] if otherwise else []
    tail = ['}']
    if otherwise and otherwise[0].startswith('if '):
        tail = ['} else ' + otherwise[0], *otherwise[1:]]
    elif otherwise:
        tail = ['} else {', *indent(otherwise), '}']
    return [f'if ({test}) {{', *indent(lines), *tail]


def short(struct):
    return struct.c_name.removeprefix('kafka_')


def element_type(field):
    return f'struct {field.struct.c_name}' if field.struct else C_TYPE[field.type]


# ---- structs and their defaults


def declare_field(field):
    star = '*' if field.is_array or field.is_pointer else ''
    const = 'const ' if field.is_pointer else ''
    versions = f'{field.span.low}+' if field.span.high == schema.NEVER else \
        f'{field.span.low}-{field.span.high}'
    notes = [versions]
    if field.tagged:
        notes.append(f'tag {field.tag}')
    if field.nullable:
        notes.append('may be null' if field.nullable.low <= field.span.low else
                     f'may be null {field.nullable.low}+')
    if field.default not in ('', 'null'):
        notes.append(f'default {field.default}')
    yield f'    {const}{element_type(field)} {star}{field.c_name}; /* {", ".join(notes)} */'
    if field.is_array:
        yield f'    int32_t {field.c_name}_count;'


def default_of(field):
    """Initializer of a field whose default is not all zeros, else None."""
    if field.is_array:
        return f'.{field.c_name}_count = -1' if field.default == 'null' else None
    if field.struct is not None:
        inner = initializer(field.struct)
        if field.is_pointer:
            inner = None if field.default == 'null' else f'&default_{short(field.struct)}'
        return f'.{field.c_name} = {inner}' if inner else None
    if field.type in SIZED_WORD:
        return f'.{field.c_name} = {{.byte_count = -1}}' if field.default == 'null' else None
    number = default_number(field)
    return f'.{field.c_name} = {number}' if number not in ('0', 'false') else None


def default_number(field):
    if field.type == 'bool':
        return field.default or 'false'
    value = int(field.default or 0)
    return str(value) if abs(value) < 2 ** 31 else f'INT64_C({value})'


def initializer(struct):
    parts = [part for part in map(default_of, struct.fields) if part]
    return '{' + ', '.join(parts) + '}' if parts else None


def is_set(field, owner):
    """C for "the field has another value than its default"."""
    place = f'{owner}->{field.c_name}'
    if field.is_array or field.type in SIZED_WORD:
        count = f'{place}_count' if field.is_array else f'{place}.byte_count'
        return f'{count} >= 0' if field.default == 'null' else f'{count} != 0'
    if field.is_pointer:
        return f'{place} != NULL' if field.default == 'null' else \
            f'{place} == NULL || is_set_{short(field.struct)}({place})'
    if field.struct is not None:
        return f'is_set_{short(field.struct)}(&{place})'
    if field.type == 'uuid':
        return f'!wire_uuid_is_zero(&{place})'
    return f'{place} != {default_number(field)}'


def define_is_set(struct):
    tests = [is_set(field, 'in') for field in struct.fields]
    return [f'static bool is_set_{short(struct)}(const struct {struct.c_name} *in)', '{',
            '    return ' + ' ||\n           '.join(tests) + ';', '}', '']


def needs_is_set(message):
    """Structs that must be compared with their default somewhere, inner ones first."""
    needed = set()
    for struct in reversed(message.structs):
        for field in struct.fields:
            if field.struct is None or field.is_array or \
                    field.is_pointer and field.default == 'null':
                continue
            asked = field.tagged or not field.is_ignorable and field.span & struct.span != struct.span
            if asked or struct.c_name in needed:
                needed.add(field.struct.c_name)
    return [struct for struct in message.structs if struct.c_name in needed]


# ---- decoding


def read_value(field, struct, place, is_tagged):
    """Lines that read one value (of an array: one element) into `place`."""
    if field.struct is not None:
        return [f'decode_{short(field.struct)}(self, &{place});']
    if field.type in SIZED_WORD and not field.is_array:
        is_flexible = 'self->is_flexible' if field.is_compact else 'false'
        return [f'{place} = wire_read_{SIZED_WORD[field.type]}(self->reader, {is_flexible}, '
                f'{condition(field.nullable, struct.span & field.span)});']
    if field.type in SIZED_WORD:
        return [f'{place} = wire_read_{SIZED_WORD[field.type]}(self->reader, self->is_flexible, '
                'false);']
    return [f'{place} = wire_read_{field.type}(self->reader);']


def element_bytes_min(message, struct, field):
    versions = struct.span & field.span
    if field.struct is None:
        return schema.FIXED.get(field.type, 1 if message.first_flexible <= versions.high else
                                schema.SIZED.get(field.type))
    return max(1, min(field.struct.bytes_min(version, message.first_flexible)
                      for version in range(versions.low, versions.high + 1)))


def read_field(message, struct, field, is_tagged):
    place = f'out->{field.c_name}'
    if field.is_array:
        return [f'{place} = codec_read_array(self, '
                f'{condition(field.nullable, struct.span & field.span)}, '
                f'{element_bytes_min(message, struct, field)}, sizeof *{place}, &{place}_count);',
                f'for (int32_t i = 0; i < {place}_count && codec_goes_on(self); i++) {{',
                *('    ' + line for line in read_value(field, struct, place + '[i]', is_tagged)),
                '}']
    if field.is_pointer:
        inner = field.c_name
        return [f'{element_type(field)} *{inner} = codec_read_struct(self, '
                f'{str(is_tagged).lower()}, sizeof *{inner});',
                f'if ({inner} != NULL) {{',
                f'    decode_{short(field.struct)}(self, {inner});', '}',
                f'{place} = {inner};']
    return read_value(field, struct, place, is_tagged)


def ordered_span(field):
    """Versions in which the field stands in the ordered part."""
    if not field.tagged:
        return field.span
    return schema.Span(field.span.low, field.tagged.low - 1)


def define_decode_tags(message, struct):
    lines = [f'static void decode_tags_{short(struct)}(struct codec_decoding *self, '
             f'struct {struct.c_name} *out)', '{',
             '    struct codec_tag tag = codec_tag_open(self);',
             '    while (codec_tag_next(self, &tag)) {',
             '        switch (tag.number) {']
    for field in struct.tagged_fields():
        test = condition(field.tagged & field.span, struct.span)
        body = within(test, read_field(message, struct, field, True),
                      ['wire_reader_fail(self->reader, STATUS_MALFORMED);'])
        lines += [f'        case {field.tag}: {{', *('            ' + line for line in body),
                  '            break;', '        }']
    return [*lines, '        default:', '            codec_tag_skip(self);', '            break;',
            '        }', '    }', '}', '']


def define_decode(message, struct):
    lines = define_decode_tags(message, struct) if struct.tagged_fields() else []
    lines += [f'static void decode_{short(struct)}(struct codec_decoding *self, '
              f'struct {struct.c_name} *out)', '{', f'    {struct.c_name}_defaults(out);']
    for field in struct.fields:
        test = condition(ordered_span(field), struct.span)
        lines += ('    ' + line
                  for line in within(test, read_field(message, struct, field, False)))
    if struct.tagged_fields():
        lines.append(f'    decode_tags_{short(struct)}(self, out);')
    elif message.first_flexible <= struct.span.high:
        lines.append('    codec_skip_tags(self);')
    return [*lines, '}', '']


# ---- encoding


def write_value(field, struct, place):
    if field.struct is not None:
        return [f'encode_{short(field.struct)}(self, &{place});']
    if field.type in SIZED_WORD:
        word, by = SIZED_WORD[field.type], '&' if field.type == 'records' else ''
        if not field.is_compact:
            return [f'wire_write_{word}(self->writer, false, {by}{place});']
        nullable = 'false' if field.is_array else \
            condition(field.nullable, struct.span & field.span)
        return [f'codec_write_{word}(self, {nullable}, {by}{place});']
    by = '&' if field.type == 'uuid' else ''
    return [f'wire_write_{field.type}(self->writer, {by}{place});']


def write_field(struct, field, is_tagged):
    place = f'in->{field.c_name}'
    if field.is_array:
        return [f'codec_write_count(self, {condition(field.nullable, struct.span & field.span)}, '
                f'{place}_count);',
                f'for (int32_t i = 0; i < {place}_count; i++) {{',
                *('    ' + line for line in write_value(field, struct, place + '[i]')), '}']
    if field.is_pointer:
        return [f'if (codec_write_presence(self, {str(is_tagged).lower()}, {place})) {{',
                f'    encode_{short(field.struct)}(self, {place});', '}']
    return write_value(field, struct, place)


def write_tag(message, struct, field):
    """Lines that write the tag's number, size and value."""
    size = schema.FIXED.get(field.type)
    if field.struct is not None:
        size = None if field.is_pointer else field.struct.bytes_fixed(message.first_flexible)
    body = write_field(struct, field, True)
    if size is not None and not field.is_array:
        return [f'codec_write_tag(self, {field.tag}, {size});', *body]
    return ['struct codec_payload payload;', 'codec_payload_open(self, &payload);', *body,
            f'codec_payload_close(self, {field.tag}, &payload);']


def define_encode_tags(message, struct):
    lines = [f'static void encode_tags_{short(struct)}(struct codec_encoding *self, '
             f'const struct {struct.c_name} *in)', '{']
    for field in struct.tagged_fields():
        test = condition(field.tagged & field.span, struct.span)
        value = is_set(field, 'in')
        if test != 'true' and not field.is_ignorable:
            lines += [f'    const bool is_set_{field.tag} = {value};',
                      f'    const bool has_{field.tag} = is_set_{field.tag} && {test};',
                      f'    if (is_set_{field.tag} && !has_{field.tag}) {{',
                      '        codec_refuse(self);', '    }']
        else:
            both = value if test == 'true' else f'({value}) && {test}'
            lines.append(f'    const bool has_{field.tag} = {both};')
    if message.first_flexible > struct.span.low:
        lines += ['    if (!self->is_flexible) {', '        return;', '    }']
    count = ' + '.join(f'(uint32_t)has_{field.tag}' for field in struct.tagged_fields())
    lines.append(f'    wire_write_uvarint32(self->writer, {count});')
    for field in struct.tagged_fields():
        lines += ('    ' + line for line in within(f'has_{field.tag}',
                                                   write_tag(message, struct, field)))
    return [*lines, '}', '']


def define_encode(message, struct):
    lines = define_encode_tags(message, struct) if struct.tagged_fields() else []
    lines += [f'static void encode_{short(struct)}(struct codec_encoding *self, '
              f'const struct {struct.c_name} *in)', '{']
    lines += [] if struct.fields else ['    (void)in;']
    for field in struct.fields:
        refuse = [] if field.is_ignorable or field.tagged else \
            within(is_set(field, 'in'), ['codec_refuse(self);'])
        test = condition(ordered_span(field), struct.span)
        lines += ('    ' + line
                  for line in within(test, write_field(struct, field, False), refuse))
    if struct.tagged_fields():
        lines.append(f'    encode_tags_{short(struct)}(self, in);')
    elif message.first_flexible <= struct.span.high:
        lines.append('    codec_write_no_tags(self);')
    return [*lines, '}', '']


# ---- files


def define_defaults(struct):
    inner = [field.struct for field in struct.fields
             if field.is_pointer and field.default != 'null']
    lines = [f'static const struct {other.c_name} default_{short(other)} = '
             f'{initializer(other) or "{0}"};' for other in inner]
    value = initializer(struct) or ('{0}' if struct.fields else '{.nothing = 0}')
    return [*lines, f'void {struct.c_name}_defaults(struct {struct.c_name} *out)', '{',
            f'    *out = (struct {struct.c_name}){value};', '}', '']


def declare_struct(struct):
    fields = [line for field in struct.fields for line in declare_field(field)]
    return ['', f'struct {struct.c_name} {{',
            *(fields or ['    char nothing; /* The message has no fields. */']), '};',
            f'void {struct.c_name}_defaults(struct {struct.c_name} *out);']


def entry(text, message):
    root = message.root
    is_flexible = schema.Span(message.first_flexible, schema.NEVER)
    flexible = condition(is_flexible, message.span).replace('self->', '')
    return text.format(name=root.c_name, short=short(root), upper=root.c_name.upper(),
                       low=message.span.low, high=message.span.high, flexible=flexible)


def generate_header(stem, messages):
    lines = [HEADER.format(stem=stem)]
    for message in messages:
        for struct in message.structs:
            lines += declare_struct(struct)
        lines.append(entry(ENTRY, message))
    return '\n'.join(lines)


def generate_source(stem, messages):
    lines = [f'/* Generated from {stem}.schema by gen.py; the schema is what to change. */',
             f'#include "proto/kafka/{stem}.h"', '', '#include "proto/kafka/codec.h"', '']
    for message in messages:
        for struct in message.structs:
            lines += define_defaults(struct)
        for struct in needs_is_set(message):
            lines += define_is_set(struct)
        for struct in message.structs:
            lines += define_decode(message, struct)
        for struct in message.structs:
            lines += define_encode(message, struct)
        lines.append(entry(ENTRY_BODY, message))
    return '\n'.join(lines)


def generate_api_keys(messages):
    """Rows of api_key.h: name in capitals, name, key, first version with those that Kafka dropped,
    first and last stable version, first flexible version (32767: none)."""
    rows = []
    for message in sorted((m for m in messages if m.kind == 'req'), key=lambda m: m.key):
        name = message.name.removesuffix('Request')
        last = min(message.stable.high, message.unstable - 1)
        rows.append(f'X({schema.snake(name).upper()}, "{name}", {message.key}, '
                    f'{message.span.low}, {message.stable.low}, {last}, {message.first_flexible})')
    return ('/* Generated by gen.py from all schemas; api_key.h says what the columns are. */\n'
            '#pragma once\n\n#define API_KEY_TABLE(X) \\\n    ' + ' \\\n    '.join(rows) + '\n')


def write(path, text):
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def main(folder, *paths):
    everything = []
    for path in map(pathlib.Path, paths):
        messages = schema.parse_file(path)
        everything += messages
        write(pathlib.Path(folder) / f'{path.stem}.h', generate_header(path.stem, messages))
        write(pathlib.Path(folder) / f'{path.stem}.c', generate_source(path.stem, messages))
    write(pathlib.Path(folder) / 'api_key_table.h', generate_api_keys(everything))


if __name__ == '__main__':
    main(*sys.argv[1:])
