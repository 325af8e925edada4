"""Makes expr.tsv: expressions, rows, and what PostgreSQL 15 says of each.

Not part of any build. Run as a user that may not be root, with an empty database cluster made by
`initdb --locale=C -E UTF8`: make.py POSTGRES DATA > expr.tsv. Expressions are written as calls, the
way a plan has them, and translated to SQL here; the test reads the calls."""
import re, subprocess, sys

INPUTS = [  # name, type, values
    ('i', 'int', '1|0|-7|N|2147483647|-2147483648|42|3'),
    ('j', 'int', '2|0|2|5|1|-1|N|-3'),
    ('b', 'bigint', '10|0|-9223372036854775808|N|9223372036854775807|9007199254740993|-1|7'),
    ('c', 'bigint', '3|1|-1|2|1|2|N|0'),
    ('d', 'double', '1.5|0|-2.5|N|NaN|Infinity|1e+308|0.1'),
    ('e', 'double', '2|-0|NaN|1|NaN|-Infinity|10|0.2'),
    ('s', 'text', 'abc||42|N| 7 |true|2001-01-01|é'),
    ('t', 'text', 'abd|a|42|x|7|T|N|z'),
    ('p', 'bool', 'true|false|true|N|false|N|true|false'),
    ('q', 'bool', 'true|true|false|false|N|N|N|false'),
    ('x', 'timestamptz', '2001-01-01 00:00:00+00|2004-02-29 12:00:00+00|'
     '1999-12-31 23:59:59.999999+00|N|9998-12-30 00:00:00+00|0004-01-02 00:00:00+00|'
     '2001-01-31 00:00:00+00|1970-01-01 00:00:00+00'),
    ('y', 'timestamptz', '2001-01-01 00:00:00+00|2003-02-28 12:00:00+00|2001-01-01 00:00:00+00|'
     '2001-01-01 00:00:00+00|2001-01-01 00:00:00+00|2001-01-01 00:00:00.5+00|N|'
     '1969-12-31 23:00:00+00'),
    ('v', 'interval', '1 mon|1 year|1 day|2 days|1 day|-1 days|1 mon|N'),
    ('w', 'interval', '30 days|1 year|24:00:00|N|1 day|1 mon|31 days|-00:30:00'),
]
INFIX = {'eq': '=', 'ne': '<>', 'lt': '<', 'le': '<=', 'gt': '>', 'ge': '>=', 'add': '+', 'sub': '-',
         'mul': '*', 'div': '/', 'mod': '%', 'and': 'AND', 'or': 'OR'}
TYPES = {'int': 'int4', 'bigint': 'int8', 'double': 'float8', 'text': 'text', 'bool': 'bool',
         'timestamptz': 'timestamptz', 'interval': 'interval'}

def sql(text):
    tokens = re.findall(r"[@%]?'[^']*'|null:\w+|-?\d+(?:\.\d+)?(?:e[+-]?\d+)?L?|\w+|[(),]", text)
    def parse():
        token = tokens.pop(0)
        if token[0] == '@': return f'timestamptz {token[1:]}'
        if token[0] == '%': return f'interval {token[1:]}'
        if token[0] == "'": return f'text {token}'
        if token.startswith('null:'): return f'null::{TYPES[token[5:]]}'
        if token.endswith('L') : return f"int8 '{token[:-1]}'"
        if re.fullmatch(r'-?\d+', token): return f"int4 '{token}'"
        if re.match(r'-?\d', token): return f"float8 '{token}'"
        if not tokens or tokens[0] != '(': return token
        tokens.pop(0)
        arguments = []
        while tokens[0] != ')':
            arguments.append(parse())
            if tokens[0] == ',': tokens.pop(0)
        tokens.pop(0)
        if token in INFIX: return '(' + f' {INFIX[token]} '.join(arguments) + ')'
        if token == 'neg': return f'(- {arguments[0]})'
        if token == 'not': return f'(NOT {arguments[0]})'
        if token == 'isnull': return f'({arguments[0]} IS NULL)'
        if token == 'notnull': return f'({arguments[0]} IS NOT NULL)'
        if token == 'coalesce': return f"coalesce({', '.join(arguments)})"
        if token == 'case':
            whens = ''.join(f' WHEN {c} THEN {r}' for c, r in zip(arguments[:-1:2], arguments[1::2]))
            return f'(CASE{whens} ELSE {arguments[-1]} END)'
        return f'({arguments[0]})::{TYPES[token]}'
    result = parse()
    assert not tokens, (text, tokens)
    return result

EXPRESSIONS = [name for name, _, _ in INPUTS]
pairs = [('i', 'j', '3'), ('b', 'c', '7L'), ('d', 'e', '1.5'), ('s', 't', "'42'"), ('p', 'q', 'true'),
         ('x', 'y', "@'2001-01-01 00:00:00+00'"), ('v', 'w', "%'1 mon'")]
for left, right, constant in pairs:
    for call in ('eq', 'ne', 'lt', 'le', 'gt', 'ge'):
        EXPRESSIONS += [f'{call}({left},{right})', f'{call}({left},{constant})']
    EXPRESSIONS += [f'lt({constant},{right})', f'isnull({left})', f'notnull({right})',
                    f'coalesce({left},{right})', f'coalesce({left},{constant})',
                    f'coalesce({right},{left},{constant})', f'case(p,{left},q,{right},{constant})',
                    f'case(gt(i,j),{left},{right})', f'case(isnull({left}),{constant},{left})']
for left, right, constant in pairs[:3]:
    for call in ('add', 'sub', 'mul', 'div') + (('mod',) if left != 'd' else ()):
        EXPRESSIONS += [f'{call}({left},{right})', f'{call}({right},{left})',
                        f'{call}({left},{constant})', f'{call}({constant},{left})']
    EXPRESSIONS += [f'neg({left})', f'neg({right})', f'mul({left},{left})']
EXPRESSIONS += [
    'div(i,-1)', 'mod(i,-1)', 'div(b,-1L)', 'mod(b,-1L)', 'div(d,0.0)', 'mul(d,1e-200)',
    'mul(mul(d,1e-200),1e-200)', 'div(1.0,d)', 'add(i,null:int)', 'div(null:int,j)',
    'and(p,q)', 'or(p,q)', 'not(p)', 'and(p,q,isnull(i))', 'or(p,q,isnull(i))', 'and(p,null:bool)',
    'or(p,null:bool)', 'and(null:bool,false)', 'not(null:bool)', 'eq(p,null:bool)',
    # What is not evaluated does not fail.
    'case(ne(j,0),div(i,j),0)', 'case(eq(j,0),0,div(i,j))', 'case(eq(j,0),0,gt(div(i,j),0),1,2)',
    'case(eq(j,0),0,mod(i,j))', 'and(ne(j,0),gt(div(i,j),0))', 'or(eq(j,0),gt(div(i,j),0))',
    'coalesce(i,div(j,0))', 'coalesce(j,div(i,c_int))', 'case(isnull(j),int(s),j)',
    'case(eq(s,t),int(s),0)', 'case(p,int(s),add(i,1))', 'case(p,case(q,int(t),1),case(q,int(s),2))',
    'case(eq(t,\'T\'),1,gt(int(t),5),2,3)', 'and(p,case(q,gt(int(t),5),true))',
    'case(null:bool,1,2)', 'case(true,i,div(i,0))', 'case(false,1,j)', 'case(p,null:text,s)',
    # Times.
    'add(x,v)', 'add(v,x)', 'sub(x,v)', 'add(x,w)', 'sub(x,w)', 'sub(x,y)', 'sub(y,x)', 'add(v,w)',
    'sub(v,w)', 'neg(v)', 'neg(w)', "add(x,%'1 mon')", "sub(x,%'1 mon')", "sub(x,%'13 mons')",
    "add(x,%'-1 mon')", "add(x,%'1 mon 1 day 01:00:00.000001')",
    "sub(x,%'11 mons 30 days 23:59:59.999999')", "lt(sub(x,y),%'1 day')", "eq(v,w)",
    "add(@'2001-01-31 00:00:00+00',v)",
    # Casts.
    'bigint(i)', 'double(i)', 'text(i)', 'bool(i)', 'int(b)', 'double(b)', 'text(b)', 'int(d)',
    'bigint(d)', 'text(d)', 'int(p)', 'text(p)', 'int(s)', 'bigint(s)', 'double(s)', 'bool(s)',
    'timestamptz(s)', 'int(t)', 'bool(t)', 'text(x)', 'text(v)', 'text(w)', 'interval(text(w))',
    'timestamptz(text(x))', 'double(text(d))', 'bigint(text(b))', 'int(add(d,0.5))',
    'add(bigint(i),b)', 'mul(bigint(i),bigint(j))', 'div(double(i),double(j))', 'text(text(i))',
]
numbers = ['2147483647', '2147483648', '-2147483648', '-2147483649', '+5', '-0', '', ' ', '5 ', '\f5',
           '5x', '- 5', '0005', '1e3', '1.0', '9223372036854775807', '9223372036854775808',
           '-9223372036854775808', '-9223372036854775809', '.5', '5.', '.', '1e400', '1e-400', '1e',
           '1e+', '1e5', 'nan', 'inf', '-inf', '+Infinity', 'infinit', '1.7976931348623157e308',
           '4.9e-324', '1e-310', 'e5', '1..2', '0.1e-1']
for text in numbers:
    EXPRESSIONS += [f"int('{text}')", f"bigint('{text}')", f"double('{text}')"]
for text in ['t', 'TRUE', 'tr', 'truex', 'f', 'fals', 'y', 'yes', 'n', 'no', 'on', 'of', 'o', 'off', '1',
             '0', '10', '', ' yes ', '2']:
    EXPRESSIONS += [f"bool('{text}')"]
for text in ['0.5', '1.5', '2.5', '-0.5', '-1.5', '2147483647.4', '2147483647.5', '-2147483648.5',
             '-2147483648.6', '9.2233720368547748e18', '9.2233720368547758e18', '1e15', '1e14', '1e-5',
             '1e-4', '123456.789', '0.30000000000000004']:
    EXPRESSIONS += [f'int(double(\'{text}\'))', f'bigint(double(\'{text}\'))', f'text(double(\'{text}\'))']
for text in ['2001-02-03', '2001-02-03 04:05', '2001-02-03T04:05:06Z', '2001-02-03 04:05:06.789+02:30',
             '2001-02-29', '2001-02-03 25:00:00', ' 2001-02-03 ', '2001-02-03 04:05:06-08', 'today x']:
    EXPRESSIONS += [f"timestamptz('{text}')"]
for text in ['1 hour', '90 min', '-2 days', '1 year 2 mons 3 days 04:05:06', '01:30:00', '1.5 hours', '',
             'x', '1 day ago', '3 weeks', '1 year -1 days 2 hours', '-1 mons +2 days', '1.5 mons',
             '-1.5 days', '-01:02:03.5', '1 day -00:00:01', '-1 year 1 day -1 hour', '1 day 2 hours ago']:
    EXPRESSIONS += [f"interval('{text}')"]
EXPRESSIONS = [e.replace('c_int', 'int(c)') for e in EXPRESSIONS]

quote = lambda text: "'" + text.replace("'", "''") + "'"
lines = ["set timezone = 'UTC'", "set standard_conforming_strings = on",
         "create function say(q text) returns text as $$ declare r text; begin execute q into r; "
         "return coalesce(r, '\\N'); exception when others then return '\\E'; end $$ language plpgsql"]
columns = ', '.join(f'{name} {TYPES[kind]}' for name, kind, _ in INPUTS)
lines.append(f'create table rows (n int, {columns})')
values = [[None if v == 'N' else v for v in text.split('|')] for _, _, text in INPUTS]
for row in range(8):
    fields = ', '.join('null' if column[row] is None else quote(column[row]) for column in values)
    lines.append(f'insert into rows values ({row}, {fields})')
for expression in EXPRESSIONS:
    for row in range(8):
        lines.append(f'select say({quote(f"select ({sql(expression)})::text from rows where n = {row}")}) as v')
done = subprocess.run([sys.argv[1], '--single', '-D', sys.argv[2], 'postgres'],
                      input='\n'.join(lines) + '\n', capture_output=True, text=True)
assert 'ERROR' not in done.stderr, done.stderr
found = re.findall(r'^\t 1: v = "(.*)"\t\(typeid', done.stdout, re.M)
assert len(found) == 8 * len(EXPRESSIONS), (len(found), 8 * len(EXPRESSIONS))
for name, kind, text in INPUTS:
    print('\t'.join(['input', name, kind] + ['\\N' if v == 'N' else v for v in text.split('|')]))
for number, expression in enumerate(EXPRESSIONS):
    print('\t'.join(['expr', expression] + found[8 * number:8 * number + 8]))
