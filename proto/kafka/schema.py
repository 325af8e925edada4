"""Reads schema files (notation: schema/README.md) into messages, structs and fields."""
import dataclasses
import pathlib
import re

NEVER = 32767  # As a first version: no version at all. As a last one: all later versions.
# Bytes on the wire of the types that always take the same number.
FIXED = {'bool': 1, 'int8': 1, 'int16': 2, 'uint16': 2, 'int32': 4, 'int64': 8, 'float64': 8,
         'uuid': 16}
SIZED = {'string': 2, 'bytes': 4, 'records': 4}  # Bytes of their length where it is not compact.


def snake(name):
    name = name.replace('KRaft', 'Kraft')
    name = re.sub(r'([a-z0-9])([A-Z])', r'\1_\2', name)
    return re.sub(r'([A-Z]+)([A-Z][a-z])', r'\1_\2', name).lower()


@dataclasses.dataclass(frozen=True)
class Span:
    """Versions from `low` to `high`, both included."""
    low: int
    high: int

    @staticmethod
    def parse(text):
        if text == '-':
            return EMPTY
        if text.endswith('+'):
            return Span(int(text[:-1]), NEVER)
        low, high = text.split('-')
        return Span(int(low), int(high))

    def __bool__(self):
        return self.low <= self.high

    def __contains__(self, version):
        return self.low <= version <= self.high

    def __and__(self, other):
        return Span(max(self.low, other.low), min(self.high, other.high))

    def __or__(self, other):
        """The smallest span around both."""
        if not self or not other:
            return self if self else other
        return Span(min(self.low, other.low), max(self.high, other.high))


EMPTY = Span(NEVER, -1)


@dataclasses.dataclass
class Field:
    name: str
    type: str  # A primitive, or the name of `struct`.
    is_array: bool
    span: Span
    nullable: Span = EMPTY
    tag: int = -1
    tagged: Span = EMPTY
    default: str = ''
    is_ignorable: bool = False
    is_compact: bool = True
    struct: object = None

    @property
    def c_name(self):
        return snake(self.name)

    @property
    def json_name(self):
        return self.name[0].lower() + self.name[1:]

    @property
    def is_pointer(self):
        """A struct that may be null is reached by a pointer, NULL when null."""
        return self.struct is not None and not self.is_array and bool(self.nullable)


@dataclasses.dataclass
class Struct:
    name: str
    c_name: str
    fields: list = dataclasses.field(default_factory=list)
    span: Span = EMPTY  # Versions in which it can occur at all.

    def tagged_fields(self):
        return sorted((f for f in self.fields if f.tagged & self.span), key=lambda f: f.tag)

    def bytes_min(self, version, first_flexible):
        """The least a value of this struct can take on the wire."""
        is_flexible = version >= first_flexible
        total = 1 if is_flexible else 0
        for field in self.fields:
            if version not in field.span or version in field.tagged:
                continue
            if field.is_array:
                total += 1 if is_flexible else 4
            elif field.struct is not None:
                total += 1 if field.is_pointer else field.struct.bytes_min(version, first_flexible)
            elif field.type in FIXED:
                total += FIXED[field.type]
            else:
                total += 1 if is_flexible and field.is_compact else SIZED[field.type]
        return total

    def bytes_fixed(self, first_flexible):
        """Its size where that never varies and no tag can be in it, else None."""
        is_plain = all(f.type in FIXED and not f.is_array and not f.tagged and
                       f.span & self.span == self.span for f in self.fields)
        sizes = {self.bytes_min(v, first_flexible)
                 for v in range(self.span.low, self.span.high + 1)}
        return sizes.pop() if is_plain and len(sizes) == 1 else None


@dataclasses.dataclass
class Message:
    kind: str  # req rsp hdr data ckey cval
    key: int   # -1: none.
    name: str
    stable: Span
    span: Span  # With the versions that Kafka 4.0 dropped.
    first_flexible: int
    unstable: int  # NEVER: none.
    root: Struct = None
    structs: list = dataclasses.field(default_factory=list)  # Inner ones first, the root last.


def parse_message(line):
    _, kind, key, name, *rest = line.split(' ')
    settings = dict(item.split('=') for item in rest)
    stable, legacy = Span.parse(settings['v']), Span.parse(settings['legacy'])
    message = Message(kind, -1 if key == '-' else int(key), name, stable, stable | legacy,
                      NEVER if settings['flex'] == '-' else int(settings['flex']),
                      int(settings.get('unstable', NEVER)))
    message.root = Struct(name, 'kafka_' + snake(name))
    return message


def parse_field(tokens):
    name, type_name, versions, *rest = tokens
    is_array = type_name.startswith('[]')
    field = Field(name, type_name[2:] if is_array else type_name, is_array, Span.parse(versions))
    for item in rest:
        mark, _, value = item.partition('=')
        if mark == 'n':
            field.nullable = Span.parse(value)
        elif mark == 't':
            tag, versions = value.split('@')
            field.tag, field.tagged = int(tag), Span.parse(versions)
        elif mark == 'd':
            field.default = value
        elif mark == 'i':
            field.is_ignorable = True
        elif item == 'f=none':
            field.is_compact = False
        elif mark not in ('k', 'e'):
            raise ValueError(f'unknown mark {item}')
    return field


def parse_body(message, lines):
    """Fields up to the closing dot; a field belongs to the last struct one level above it."""
    shared, open_structs, is_shared = {}, [message.root], False
    inner = lambda name: Struct(name, f'{message.root.c_name}_{snake(name)}')
    for line in lines:
        first, *tokens = line.split(' ')
        if first == 'S':
            shared[tokens[0]] = shared.get(tokens[0]) or inner(tokens[0])
            open_structs, is_shared = [message.root, shared[tokens[0]]], True
        elif first == 'R':
            open_structs, is_shared = [message.root], False
        elif first == 'F':
            depth = int(tokens[0])
            if is_shared and depth == 0:
                raise ValueError(f'{message.name}: field outside its shared struct')
            field = parse_field(tokens[1:])
            del open_structs[depth + 1:]
            open_structs[depth].fields.append(field)
            if field.type.startswith('@'):
                field.type = field.type[1:]
                field.struct = shared[field.type] = shared.get(field.type) or inner(field.type)
            elif field.type[0].isupper():
                field.struct = inner(field.type)
                open_structs.append(field.struct)
        else:
            raise ValueError(f'{message.name}: cannot read {line}')


def check_field(message, struct, field):
    where = f'{message.name}.{struct.name}.{field.name}'
    if field.struct is None and field.type not in FIXED and field.type not in SIZED:
        raise ValueError(f'{where}: unknown type {field.type}')
    if field.is_pointer and field.nullable & field.span != field.span:
        raise ValueError(f'{where}: a struct may be null in all its versions or in none')
    if field.tagged and field.tagged.low < message.first_flexible:
        raise ValueError(f'{where}: tagged before the first flexible version')


def settle(message, struct, span, path=()):
    """Spreads the versions inwards and orders the structs, inner ones first."""
    if struct.name in path:
        raise ValueError(f'{message.name}: {struct.name} contains itself')
    struct.span = struct.span | span
    struct.fields = [f for f in struct.fields if f.span & message.span]
    for field in struct.fields:
        check_field(message, struct, field)
        if field.struct is not None:
            settle(message, field.struct, struct.span & field.span, (*path, struct.name))
    if all(struct is not other for other in message.structs):
        message.structs.append(struct)


def parse_file(path):
    messages, lines = [], None
    for line in pathlib.Path(path).read_text().splitlines():
        if line.startswith('M '):
            messages.append(parse_message(line))
            lines = []
        elif line == '.':
            parse_body(messages[-1], lines)
            settle(messages[-1], messages[-1].root, messages[-1].span)
            lines = None
        elif lines is not None:
            lines.append(line)
        elif line and not line.startswith('#'):
            raise ValueError(f'{path}: cannot read {line}')
    for message in messages:
        names = [struct.c_name for struct in message.structs]
        if len(names) != len(set(names)):
            raise ValueError(f'{message.name}: two structs of one name')
    return messages
