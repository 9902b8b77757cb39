//! Finds the lines of a template behind those of a rendered document.
//!
//! A template is a program, so a line can't be computed. It is known only where one line of the template fits, and a wrong
//! line would mislead.

/// Returns the line of the only `kind:` in a template that is equal to that of the document.
pub(super) fn kind_line(document: &str, template: &str) -> Option<usize> {
    let kind = document.lines().find(|line| line.starts_with("kind:"))?;
    let lines = template.lines().zip(1..).filter(|(line, _)| line.trim_end() == kind.trim_end());
    only(lines.map(|(_, number)| number))
}

/// Returns the line of the template, from 1, that is behind a line of the document, from 0. `None` unless it can be told.
///
/// A line fits that has the same text, or else the same key with the same indentation, such as
/// `image: {{ .Values.image }}`. The document and its part of the template must have as many lines that fit, and then
/// the first belongs to the first. Several belong together only where no line of the template is left out or repeated.
pub(super) fn matching_line(document: &str, index: usize, template: &str) -> Option<usize> {
    let wanted = document.lines().nth(index)?;
    let section = section(template, kind_line(document, template));
    let fit = |fits: &dyn Fn(&str) -> bool| {
        let lines = document.lines().enumerate().filter(|(_, line)| fits(line));
        let lines: Vec<_> = lines.map(|(number, _)| number).collect();
        let places: Vec<_> = (0..).zip(&section).filter(|(_, (_, line))| fits(line)).collect();
        let place = lines.iter().position(|line| *line == index)?;
        let ((first, _), (last, _)) = (places.first()?, places.last()?);
        let is_straight = !section.get(*first..*last)?.iter().any(|(_, line)| decides(line));
        let (_, (number, line)) = places.get(place).filter(|_| lines.len() == places.len() && is_straight)?;
        let is_behind = line.contains("{{") || line.trim() == wanted.trim();
        is_behind.then_some(*number)
    };
    let key = key(wanted);
    fit(&|line| line.trim() == wanted.trim())
        .or_else(|| key.and_then(|key| fit(&|line| self::key(line) == Some(key))))
}

/// Returns true if a line of a template decides which other lines are rendered, and how often.
fn decides(line: &str) -> bool {
    let actions = line.split("{{").skip(1).map(|action| action.trim_start_matches(['-', ' ']));
    let first_words = actions.filter_map(|action| action.split([' ', '-', '}']).next());
    first_words
        .into_iter()
        .any(|word| ["if", "else", "with", "range", "end", "define", "block"].contains(&word))
}

/// Returns the numbered lines of the template between the separators around a kind, or all if its line is not known.
fn section(template: &str, kind: Option<usize>) -> Vec<(usize, &str)> {
    let lines: Vec<_> = (1..).zip(template.lines()).collect();
    let Some(kind) = kind else { return lines };
    let mut parts = lines.split(|(_, line)| line.starts_with("---"));
    let has_kind = |part: &&[(usize, &str)]| part.iter().any(|(number, _)| *number == kind);
    parts.find(has_kind).map(<[_]>::to_vec).unwrap_or_default()
}

/// Returns the indentation and the key of a line, such as `    - name`; `None` for a line without a plain key.
fn key(line: &str) -> Option<&str> {
    let (key, _) = line.split_once(':')?;
    let name = key.trim_start_matches([' ', '-']);
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_./-'\"".contains(c);
    (!name.is_empty() && name.chars().all(is_plain)).then_some(key)
}

/// Returns the only item; `None` if there are several, or none.
fn only<T>(mut items: impl Iterator<Item = T>) -> Option<T> {
    items.next().filter(|_| items.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_a_template_is_that_of_its_only_kind() {
        let template = "{{ if .Values.on }}\nkind: A\n---\nkind: B\n---\nkind: B\n";
        let lines = ["kind: A\n", "kind: B\n", "kind: C\n", "a: b\n"].map(|text| kind_line(text, template));
        assert_eq!(lines, [Some(2), None, None, None]);
        assert_eq!(kind_line("kind: A", ""), None);
    }

    #[test]
    fn a_line_leads_to_the_only_line_of_the_template_that_fits() {
        let template = "\
kind: Service
spec:
  type: NodePort
---
kind: Deployment
spec:
  template:
    spec:
      # image: a
      hostPID: true
      containers:
      - name: {{ .Chart.Name }}
        image: {{ .Values.image }}
        ports: {{ toYaml .Values.ports }}
        {{- range .Values.probes }}
        {{ . }}: {}
        {{- end }}
";
        let document = "\
kind: Deployment
spec:
  template:
    spec:
      hostPID: true
      containers:
      - name: web
        image: a
        ports:
        - name: http
        livenessProbe: {}
      volumes: []
";
        let line = |index: usize| matching_line(document, index, template);
        let lines: Vec<_> = (0..12).map(line).collect();
        let expected = [5, 6, 7, 8, 10, 11, 12, 13, 14].map(Some);
        assert_eq!(lines[..9], expected);
        assert_eq!(lines[9..], [None; 3], "the values of the chart have these lines");
        assert_eq!(matching_line(document, 99, template), None);
        let branch = "kind: A\n{{ if .x }}\nhostPID: false\n{{ else }}\n{{ include \"x\" . }}\n{{ end }}\n";
        assert_eq!(matching_line("kind: A\nhostPID: true\n", 1, branch), None, "the line has another value");
        let twice = format!("{template}---\n{template}");
        assert_eq!(matching_line(document, 1, &twice), None, "two objects have a spec");
    }

    #[test]
    fn repeated_lines_belong_together_in_their_order() {
        let template = "\
kind: Pod
spec:
  containers:
  - image: {{ .Values.image }}
    {{- toYaml .Values.more | nindent 4 }}
  - image: busybox
";
        let document = "kind: Pod\nspec:\n  containers:\n  - image: a\n    name: b\n  - image: busybox\n";
        assert_eq!([3, 5].map(|index| matching_line(document, index, template)), [Some(4), Some(6)]);
        for control in ["{{ if .x }}", "{{- else -}}", "{{ range .x }}", "{{end}}"] {
            let template = template.replace("{{- toYaml .Values.more | nindent 4 }}", control);
            assert_eq!(matching_line(document, 3, &template), None, "{control}");
        }
    }
}
