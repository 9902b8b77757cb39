//! Finds the lines of fields of objects that were read before, by a second reading of the sources that hold them.

use std::collections::{HashMap, HashSet};

use super::consumer::{Consumer, Place};
use super::read::read;
use super::sources::Source;
use super::stream_copies::StreamCopies;
use crate::workload::{Fields, Object, Parsed};

/// A field of an object that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldPlace<'a> {
    /// The name of the source.
    pub source: &'a str,
    /// The first line of the object, from 1.
    pub line: usize,
    /// The name of the object.
    pub name: &'a str,
    /// The path of the field in the object.
    pub path: &'a str,
}

/// Finds the lines of fields, from 1, in their order. For a field that is not there, it is that of the nearest parent.
///
/// `reads` are the fields of the first reading. The line is `None` if the object is not there any more.
pub fn find_fields(
    fields: &[FieldPlace<'_>],
    sources: &[Source],
    copies: &StreamCopies,
    reads: Fields,
) -> Vec<Option<usize>> {
    let mut objects: HashMap<_, Vec<_>> = HashMap::new();
    for (index, field) in fields.iter().enumerate() {
        objects.entry((field.source, field.line, field.name)).or_default().push((index, field.path));
    }
    let names: HashSet<&str> = fields.iter().map(|field| field.source).collect();
    let sources = sources.iter().filter(|source| names.contains(&*source.name()));
    let sources = sources.filter_map(|source| source.again(copies)).collect();
    // The JSON of whole objects is not needed.
    let reads = match reads {
        Fields::Raw(kinds, _) => Fields::With(kinds),
        reads => reads,
    };
    let mut lines = vec![None; fields.len()];
    for found in read(&[], sources, true, &Finder { objects, reads }) {
        for (index, line) in found.part {
            lines[index] = Some(line);
        }
    }
    lines
}

/// The wanted fields by the source, the first line and the name of their object, each with its place in the request.
type Wanted<'a> = HashMap<(&'a str, usize, &'a str), Vec<(usize, &'a str)>>;

struct Finder<'a> {
    objects: Wanted<'a>,
    reads: Fields,
}

impl Consumer for Finder<'_> {
    /// Places in the request, with their lines.
    type Part = Vec<(usize, usize)>;

    fn fields(&self) -> Fields {
        self.reads
    }

    fn part(&self) -> Self::Part {
        Vec::new()
    }

    fn add(&self, part: &mut Self::Part, object: &Object<'_>, place: Place<'_>) {
        let name = match &object.parsed {
            Parsed::Workload(workload) => workload.name(),
            Parsed::Related(other) => other.name(),
            Parsed::List(_) | Parsed::Other { .. } | Parsed::Foreign => return,
        };
        let wanted = self.objects.get(&(place.source, place.line, name)).into_iter().flatten();
        part.extend(wanted.filter_map(|(index, path)| Some((*index, (place.line_of)(path)?))));
    }

    fn note(&self, _: &mut Self::Part, _: Place<'_>, _: &str) {}

    fn merge(&self, into: &mut Self::Part, part: Self::Part) {
        into.extend(part);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::workload::{Kind, Kinds};

    #[test]
    fn the_lines_of_fields_are_found_in_a_second_reading() {
        let directory = tempfile::tempdir().unwrap();
        let service = |metadata: &str| {
            format!(
                "- apiVersion: v1\n  kind: Service\n  metadata: {metadata}\n  spec:\n    type: ClusterIP\n"
            )
        };
        let items = service("&m\n    name: web") + &service("\n    <<: *m\n    labels: {}");
        let (yaml, json) = (directory.path().join("a.yaml"), directory.path().join("b.json"));
        fs::write(&yaml, format!("apiVersion: v1\nkind: List\nitems:\n{items}")).unwrap();
        fs::write(&json, "{\"apiVersion\": \"v1\",\n\"kind\": \"Service\",\n\"metadata\": {\"name\": \"p\"},\n\"spec\": {}}")
            .unwrap();
        let sources = [&yaml, &json].map(|path| Source::File(path.clone()));
        let (yaml, json) = (yaml.display().to_string(), json.display().to_string());
        let field = |source, line, name, path| FieldPlace { source, line, name, path };
        let fields = [
            field(&json, 1, "p", "spec.selector"),
            field(&yaml, 4, "web", "spec.type"),
            field(&yaml, 10, "web", "metadata.name"),
            field(&yaml, 4, "other", "spec.type"),
            field(&yaml, 5, "web", "spec.type"),
            field("elsewhere", 1, "web", "spec"),
        ];
        let lines =
            find_fields(&fields, &sources, &StreamCopies::default(), Fields::With(Kinds::of(&Kind::ALL)));
        assert_eq!(lines, [Some(4), Some(9), Some(7), None, None, None]);
    }
}
