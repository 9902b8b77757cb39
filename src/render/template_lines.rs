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

/// Returns the line of the template, from 1, that is behind a line of the document, from 0. `None` unless the document and
/// its part of the template have one such line each.
///
/// A line fits that has the same text, or else the same key with the same indentation, such as
/// `image: {{ .Values.image }}`.
pub(super) fn matching_line(document: &str, index: usize, template: &str) -> Option<usize> {
    let wanted = document.lines().nth(index)?;
    let section = section(template, kind_line(document, template));
    let only_fit = |fits: &dyn Fn(&str) -> bool| {
        only(document.lines().filter(|line| fits(line)))?;
        only(section.iter().filter(|(_, line)| fits(line)).map(|(number, _)| *number))
    };
    let key = key(wanted);
    only_fit(&|line| line.trim() == wanted.trim())
        .or_else(|| key.and_then(|key| only_fit(&|line| self::key(line) == Some(key))))
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
        let twice = format!("{template}---\n{template}");
        assert_eq!(matching_line(document, 1, &twice), None, "two objects have a spec");
    }
}
