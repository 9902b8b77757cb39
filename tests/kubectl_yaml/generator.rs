//! Generates difficult YAML from a seed: mostly valid documents with odd parts, and damaged ones.

use fastrand::Rng;

/// Generates streams. The same seed yields the same streams.
pub(crate) fn streams(seed: u64, count: usize) -> Vec<Vec<u8>> {
    let mut generator = Generator { random: Rng::with_seed(seed), anchors: 0 };
    (0..count).map(|_| generator.stream().into_bytes()).collect()
}

struct Generator {
    random: Rng,
    /// The anchors of the document so far.
    anchors: usize,
}

const KEYS: &[&str] = &[
    "a", "b", "name", "<<", "\"<<\"", "yes", "on", "1", "010", "1.5", "null", "'x y'", "\"q\"", "a.b/c", "é",
    "true", "!!str 7", "&k k", "0x10", "-1", "a b", "~a",
];
const WORDS: &[&str] = &[
    "yes",
    "no",
    "on",
    "off",
    "y",
    "n",
    "~",
    "null",
    "",
    "0",
    "010",
    "0o10",
    "0x1F",
    "0b11",
    "1_000",
    "08",
    "1.5",
    "1e3",
    "-.5",
    "1e400",
    "1:30",
    "2001-01-01",
    "text",
    "two words",
    "a#b",
    "a: b",
    "é日本",
    "nginx:1.2",
    "[0m",
    "{{ x }}",
    "http://a:80/b?c",
    "<<",
    "=",
    "!!str 5",
    "!!int 7",
    "!!float 3",
    "!!binary aGk=",
    "!x y",
    "*a0",
    "*a1",
    "@x",
    "%x",
    "- x",
    "? x",
    "x: ",
    "x #c",
    "'it''s'",
    "\"a\\tb\\u00e9\"",
    "'",
    "\"",
    "128Mi",
    "+5",
    ".5",
    "1__0",
    "100m",
    "1e-7",
];
const DAMAGE: &[&str] = &[
    " ", "\n", "\t", ":", ": ", "-", "- ", "#", " #", "\"", "'", "{", "}", "[", "]", ",", "&", "*", "!", "|",
    ">", "?", "%", "---", "\n---\n", "...", "\\", "<<: ", "\r\n", "\u{feff}", "é", "  ", "@", "`", "~", "=",
];

impl Generator {
    fn stream(&mut self) -> String {
        let documents = if self.random.u8(..8) == 0 { 2 } else { 1 };
        let mut text = String::new();
        for number in 0..documents {
            self.anchors = 0;
            if number > 0 {
                text += self.one(&["---\n", "--- # c\n", "---#c\n", "---  \n"]);
            } else if self.random.u8(..6) == 0 {
                text += self.one(&["---\n", "# c\n", "\n", "%YAML 1.1\n---\n"]);
            }
            text += &self.block(0, 0);
        }
        if self.random.u8(..4) == 0 {
            for _ in 0..self.random.usize(1..3) {
                self.damage(&mut text);
            }
        }
        text
    }

    fn damage(&mut self, text: &mut String) {
        let places: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
        let Some(&at) = places.get(self.random.usize(..places.len().max(1))) else { return };
        if self.random.bool() {
            text.remove(at);
        } else {
            let what = self.one(DAMAGE);
            text.insert_str(at, what);
        }
    }

    fn one(&mut self, from: &[&'static str]) -> &'static str {
        from[self.random.usize(..from.len())]
    }

    /// A mapping or sequence in block style.
    fn block(&mut self, indent: usize, depth: usize) -> String {
        let margin = " ".repeat(indent);
        let mut text = String::new();
        let mapping = self.random.u8(..4) > 0;
        for _ in 0..self.random.usize(1..4) {
            match self.random.u8(..16) {
                0 => text += "# comment\n",
                1 => text += "\n",
                2 => text.extend([&margin, "  # comment: 1\n"]),
                _ => {}
            }
            text += &margin;
            if mapping {
                text += self.one(KEYS);
                text += self.one(&[":", ":", ":", ":", " :"]);
            } else {
                text += "-";
            }
            text += &self.value(indent, depth, mapping);
        }
        text
    }

    fn value(&mut self, indent: usize, depth: usize, in_mapping: bool) -> String {
        let mut text = " ".to_owned();
        if self.random.u8(..6) == 0 {
            text.extend(["&a", &self.anchors.to_string(), " "]);
            self.anchors += 1;
        }
        let deeper = indent + self.random.usize(1..4);
        match self.random.u8(..12) {
            0..=2 if depth < 4 => {
                text.truncate(text.trim_end().len());
                let indent = if in_mapping && self.random.u8(..6) == 0 { indent } else { deeper };
                format!("{text}\n{}", self.block(indent, depth + 1))
            }
            3 if self.anchors > 0 => format!(" *a{}\n", self.random.usize(..self.anchors)),
            4 => format!("{text}{}\n", self.flow(depth)),
            5 => {
                let header = self.one(&["|", ">", "|-", ">-", "|+", ">+", "|2", "| # c"]);
                let lines: String = (0..self.random.usize(..4))
                    .map(|_| match self.random.u8(..6) {
                        0 => "\n".to_owned(),
                        1 => format!("{}   {}\n", " ".repeat(deeper), self.one(WORDS)),
                        _ => format!("{}{}\n", " ".repeat(deeper), self.one(WORDS)),
                    })
                    .collect();
                format!("{text}{header}\n{lines}")
            }
            6 => {
                let (first, second) = (self.one(WORDS), self.one(WORDS));
                format!("{text}{first}\n{}{second}\n", " ".repeat(deeper))
            }
            7 => {
                let quote = self.one(&["'", "\""]);
                let (first, second) =
                    (self.one(&["a", "yes", "a b", "1"]), self.one(&["b", "#c", ": d", "- e"]));
                format!("{text}{quote}{first}\n{}{second}{quote}\n", " ".repeat(deeper))
            }
            _ => format!("{text}{}{}\n", self.one(WORDS), self.one(&["", "", "", " # c", " "])),
        }
    }

    fn flow(&mut self, depth: usize) -> String {
        let mut parts = Vec::new();
        let mapping = self.random.bool();
        for _ in 0..self.random.usize(..4) {
            let value = match self.random.u8(..8) {
                0 | 1 if depth < 4 => self.flow(depth + 1),
                2 if self.anchors > 0 => format!("*a{}", self.random.usize(..self.anchors)),
                3 => "&f ".to_owned() + self.one(WORDS),
                _ => self.one(WORDS).to_owned(),
            };
            parts.push(if mapping { format!("{}: {value}", self.one(KEYS)) } else { value });
        }
        let separator = self.one(&[", ", ",", " , "]);
        let inner = parts.join(separator) + self.one(&["", "", "", ","]);
        if mapping { format!("{{{inner}}}") } else { format!("[{inner}]") }
    }
}
