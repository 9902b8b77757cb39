//! Documents in which YAML 1.1, YAML 1.2 and kubectl's reader of it differ.

/// Values, of which each becomes the value and the key of a mapping, in every style.
const SCALARS: &[&str] = &[
    "yes", "Yes", "YES", "yES", "no", "on", "On", "off", "OFF", "y", "Y", "n", "N", "true", "True", "TRUE", "tRUE",
    "false", "null", "Null", "NULL", "nULL", "~", "", "0", "-0", "+0", "00", "010", "-010", "08", "0o10", "0O10",
    "0o8", "0x1F", "0X1f", "-0x1f", "0x", "0xg", "0b101", "0B1", "-0b1", "0b-1", "0b+1", "-0b-1", "0b2", "0b",
    "128_000_000", "1__0", "_1", "1_", "0_8", "0x_1", "+1", "+_1", "--1", "+", "-1", "1.", ".5", "-.5", "+.5", ".", "..",
    "1.5", "1_0.5", ".1_0", "._1", ".1_", "1e3", "1E3", "1e+3", "1e-3", "1e", "e1", "1.e1", ".e1", "1e400", "-1e400",
    "1e-400", "1e6", "1e20", "1e21", "123456789.0", "0.1", "0.00001", "3.0", "-3.0", "9007199254740993.0",
    "9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809",
    "18446744073709551615", "18446744073709551616", "+18446744073709551615", ".inf", "+.inf", "-.INF", ".Inf", ".nan",
    ".NaN", "NaN", "inf", "Infinity", "1:30", "190:20:30", "1:30.5", "2001-01-01", "2001-1-1", "2001-01-01T00:00:00Z",
    "2001-01-01 10:00:00", "2001-13-01", "<<", "=", "1.2.3", "1,000", "0777", "1e1_0", "0x1p3", "a: b", "a #b", "a#b",
    "é", "日本", "\u{1f980}", "\\t", "{{ x }}", "[0m", "@a", "`a", "%a", "-a", "- a", "?a", "? a", ":a", "a:", "!",
    "!!str 12", "!!str yes", "!!str", "!!int 12", "!!int \"12\"", "!!int x", "!!int 1.5", "!!int ''", "!!float 12",
    "!!float x", "!!float 0x10", "!!bool y", "!!bool 1", "!!bool 'no'", "!!null x", "!!null ''", "!!null", "!!binary aGk=",
    "!!binary a", "!!binary //79", "!!timestamp 2001-01-01", "!!timestamp x", "!!timestamp \"2001-1-1\"", "!!merge <<",
    "!!merge x", "!x 12", "!<tag:yaml.org,2002:int> 12", "!<tag:yaml.org,2002:str> 12", "! 12", "! \"12\"", "! yes",
    "!!map {a: 1}", "!!seq [a]", "!!set {a}", "!!omap [a: 1]", "!e!x 1", "[a, b", "{a: 1", "]", "}", "'a", "\"a",
    "\"\\x41\\u00e9\\U0001F980\\n\\e\\_\\N\\L\\P\\/\"", "\"\\q\"", "\"a\\\n  b\"", "'a''b'", "\"a\n\n  b\"", "a\n  b", "|\n  a\n   b\n",
    "|-\n  a\n\n", "|+\n  a\n\n", ">\n  a\n  b\n\n   c\n", "|2\n   a\n", ">-\n  a\n", "| # c\n  a\n", "|\n", "&a 1", "&a",
    "*a", "&a *a", "[&a 1, *a]", "{a: &a 1, b: *a}", "\t1", "1\t", "1 # c", "[1, 2,]", "[,]", "[a, , b]", "{a, b: }",
    "{a: 1, }", "{\"a\":1}", "{a:1}", "[a: 1]", "[? a : 1]", "{? a}", "[[1], {a: [2]}]", "- - a\n  - b\n",
];

/// Whole streams.
const STREAMS: &[&str] = &[
    "---# Source: a\nkind: A\n---# Source: b\nkind: B\n",
    "---#x\nkind: A\n",
    "kind: A\n---#x\nkind: B\n",
    "kind: A\n---apiVersion: v1\nkind: B\n",
    "--- kind: A\n",
    "---   # c\nkind: A\n---\t\nkind: B\n",
    "kind: A\n----\nkind: B\n",
    "kind: A\n---\n\u{feff}kind: B\n---\n# c\n\u{feff}kind: C\n",
    "\u{feff}kind: A\n",
    "\u{feff}---\nkind: A\n",
    "---\n\u{feff}kind: A\n",
    "kind: A\n...\nkind: B\n---\nkind: C\n",
    "kind: A\n...\n%YAML 1.1\n---\nkind: B\n",
    "%YAML 1.1\n---\nkind: A\n",
    "%YAML 1.2\n---\nkind: A\n",
    "%YAML 2.0\n---\nkind: A\n",
    "%TAG !e! tag:yaml.org,2002:\n---\na: !e!str 12\n",
    "# only a comment\n",
    "---\n---\n---\n",
    "null\n---\n~\n---\nkind: A\n",
    "--- \n{a: 1}\n",
    "a: |\n  x\n---\nb: |\n  y",
    "a: |+\n  x\n\n---\nb: 1\n",
    "a: \"x\n---\ny\"\n",
    "a: 1\r\nb: |\r\n  x\r\n  y\r\n---\r\nc: 2\r\n",
    "- a\n- b\n---\ntext\n---\n12\n",
    "a: 1\na: 2\nb: {c: 1, c: 2}\nd: [{e: 1, e: 2}]\n",
    "yes: 1\ntrue: 2\n",
    "010: 1\n8: 2\n",
    "? a\n: b\n? [c]\n: d\n",
    "? {a: 1}\n: b\n",
    "? |\n  a\n: b\n",
    "a: &a {x: 1}\n<<: *a\n",
    "a: &a {x: 1}\nb:\n  << : *a\n  x: 2\nc:\n  x: 2\n  <<: *a\n",
    "a: &a {x: 1}\nb: &b {y: 2, <<: *a}\nc: {<<: *b, <<: {z: 3}}\n",
    "a: &a {x: 1}\nb: &b {x: 2, y: 2}\nc: {<<: [*a, *b, {x: 3, z: 3}]}\n",
    "a: &a {x: 1}\nb: {\"<<\": *a}\nc: {'<<': *a}\nd: {!!merge <<: *a}\ne: {!!merge \"<<\": *a}\n",
    "a: &a {x: 1}\nb: {! \"<<\": *a}\nc: {!!str <<: *a}\nd: {? << : *a}\ne: {!x <<: *a}\n",
    "a: &a [1]\nb: {<<: *a}\n",
    "b: {<<: 1}\n",
    "b: {<<: null}\n",
    "b: {<<: [1]}\n",
    "b: {<<: []}\n",
    "b: {<<: {}}\n",
    "b: {<<: [{a: 1}, [{b: 1}]]}\n",
    "k: &k <<\na: &a {x: 1}\nb: {*k : *a}\n",
    "a: &a {<<: {x: &b {y: 1}}, z: *b}\n",
    "a: &a\n  b: *a\n",
    "a: &a [*a]\n",
    "a: *b\nb: &b 1\n",
    "a: &a 1\nb: *a\nc: &a 2\nd: *a\n",
    "&a a: 1\nb: *a\n",
    "*a : 1\n",
    "&a {x: 1}\n",
    "a: &a b: 1\n",
    "a: 1\n b: 2\n",
    "a:\n- b\n- c\nd: 1\n",
    "a:\n  - b\n - c\n",
    "a: b: c\n",
    "a:b\n",
    "a : b\n",
    "\"a\":b\n",
    "{\"a\":b}\n",
    "\ta: 1\n",
    "a:\t1\n",
    "a:\n\tb: 1\n",
    "a: 'x\n  y'\nb: \"z\n w\"\n",
    "a: {\nb: 1\n}\n",
    "a: [\nb,\nc\n]\n",
    "a: \"\nb\"\n",
    "a: [b]]\n",
    "a: {b: 1}}\n",
    "a: b # c\n#d\n  # e\nf: 1\n",
    "a: b#c\n",
    "a: x\u{85}y\nb: 1\n",
    "a: x\u{2028}y\nb: 1\n",
    "a: \"x\u{2029}y\"\n",
    "a: x\u{a0}y\n",
    "a: \u{1}\n",
    "a: \"\u{7f}\"\n",
    "a: \u{0}\n",
    "a: \u{fffe}\n",
    "a: [b, c]: d\n",
    "[a, b]: c\n",
    "a: >\n\n  x\n\n\n  y\n   z\n  w\n",
    "a: |\n    x\n  y\n",
    "a: |1\n  x\n",
    "a: |0\n  x\n",
    "a: |\n\tx\n",
    "a: >2-\n    x\n",
    "a: !!str\nb: 1\n",
    "a: !!str [b]\n",
    "!!map\na: 1\n",
    "a: .inf\na: 1\n",
    "null: 1\na: 1\n",
    "~: 1\n",
    ": 1\n",
    "? \n: 1\n",
    "1.5: a\n1e3: b\n-.inf: c\n.nan: d\n1e6: e\n",
    "18446744073709551615: a\n",
    "2001-01-01: a\n",
    "!!binary aGk=: a\n",
    "a: b\n  c\n  d: e\n",
    "a: b\n  c\nd: e\n",
    "- a: 1\n  b: 2\n-\n  c: 3\n- \n- - d\n",
    "-a\n",
    "a: - b\n",
    "a: ? b\n",
    "a: |\n  x\nb",
    "a",
    "a:",
    "a: [",
    "a: \"",
    "@a: 1\n",
    "`a: 1\n",
    "a: %b\n",
    "%a: 1\n",
    "a: b, c\n",
    "[a, b, c: d, {e}]\n",
    "{a: [b, {c: d}], ? e : f, g}\n",
    "{a: b, c}\n",
    "{: a}\n",
    "{? }\n",
    "[: a]\n",
    "{a: 'b', 'c': d, \"e\":f}\n",
    "[a:b, c]\n",
    "{a:b}\n",
    "[http://a.b/c?d=e, f]\n",
    "a: http://b:80/c#d\n",
    "a: {b: http://c, d: e}\n",
    "a: [b #c\n, d]\n",
    "a: {b: c#d}\n",
    "...\na: 1\n",
    "a: 1\n...\n...\n",
    "a: 1\n... # c\nb: 1\n",
    "a: 1\n...x\n",
];

pub(crate) fn all() -> Vec<Vec<u8>> {
    let mut streams: Vec<String> = STREAMS.iter().map(ToString::to_string).collect();
    for scalar in SCALARS {
        let inline = scalar.contains('\n');
        streams.push(format!("a: {scalar}\n"));
        streams.push(format!("- {scalar}\n"));
        streams.push(format!("{scalar}\n"));
        streams.push(format!("a: {scalar}\nb: 1\n"));
        if !inline {
            streams.push(format!("{scalar}: a\n"));
            streams.push(format!("? {scalar}\n: a\n"));
            streams.push(format!("a: [{scalar}]\n"));
            streams.push(format!("a: [x, {scalar}, y]\n"));
            streams.push(format!("a: {{{scalar}: 1}}\n"));
            streams.push(format!("a: {{b: {scalar}}}\n"));
            streams.push(format!("a: {{b: {scalar}, c: 1}}\n"));
            streams.push(format!("a: '{scalar}'\nb: \"{scalar}\"\n"));
            streams.push(format!("a: |\n  {scalar}\nb: >-\n  {scalar}\n  {scalar}\n"));
            streams.push(format!("a: &a {scalar}\nb: *a\n"));
            streams.push(format!("a: x\n  {scalar}\n"));
        }
    }
    let mut streams: Vec<Vec<u8>> = streams.into_iter().map(String::into_bytes).collect();
    for bytes in [&b"a: \xff\n"[..], b"a: \xc3\x28 \xe2\x82\n", b"a: \"\xf0\x9f\xa6\"\nb: \xc3\xa9\n", b"\xffa: 1\n"] {
        streams.push(bytes.to_vec());
    }
    streams
}
