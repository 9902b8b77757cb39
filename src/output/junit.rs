//! The report as `JUnit` XML: a failed test for each violation, and a passed test for each rule without one.

use std::collections::BTreeSet;
use std::io::{self, Write};

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};

use crate::governance::{Report, ViolationRow};

const NAME: &str = "kube-devops";

pub(super) fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let found: BTreeSet<_> = report.violations.iter().map(|violation| violation.rule).collect();
    let clean: Vec<_> = report.summary.counts.keys().filter(|rule| !found.contains(rule)).collect();
    let (failures, errors, skipped) = (report.violations.len(), report.errors.len(), report.unrendered.len());
    let totals = [
        ("tests", (failures + errors + skipped + clean.len()).to_string()),
        ("failures", failures.to_string()),
        ("errors", errors.to_string()),
    ];
    let suite = |element| {
        let totals = totals.iter().map(|(name, total)| (*name, total.as_str()));
        BytesStart::new(element).with_attributes([("name", NAME)].into_iter().chain(totals))
    };
    // The schema has no number of skipped tests for all suites together.
    let skipped = skipped.to_string();
    let only_suite = suite("testsuite").with_attributes([("skipped", skipped.as_str())]);
    let mut xml = Writer::new_with_indent(&mut *out, b' ', 2);
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    xml.write_event(Event::Start(suite("testsuites")))?;
    xml.write_event(Event::Start(only_suite))?;
    for rule in clean {
        xml.create_element("testcase")
            .with_attributes([("classname", "rules"), ("name", rule.as_str())])
            .write_empty()?;
    }
    for error in &report.errors {
        let (source, text) = (printable(&error.source), printable(&error.to_string()));
        xml.create_element("testcase")
            .with_attributes([("classname", "input"), ("name", source.as_str())])
            .write_inner_content(|case| {
            case.create_element("error")
                .with_attribute(("message", text.as_str()))
                .write_text_content(BytesText::new(&text))
                .map(|_| ())
        })?;
    }
    for directory in &report.unrendered {
        let (source, message) = (printable(&directory.source), printable(&directory.message));
        xml.create_element("testcase")
            .with_attributes([("classname", "input"), ("name", source.as_str())])
            .write_inner_content(|case| {
            case.create_element("skipped")
                .with_attribute(("message", message.as_str()))
                .write_empty()
                .map(|_| ())
        })?;
    }
    for violation in report.violations.iter() {
        write_violation(&violation, &mut xml)?;
    }
    xml.write_event(Event::End(BytesEnd::new("testsuite")))?;
    xml.write_event(Event::End(BytesEnd::new("testsuites")))?;
    writeln!(out)
}

fn write_violation(violation: &ViolationRow<'_>, xml: &mut Writer<impl Write>) -> io::Result<()> {
    let ViolationRow { container, rule, severity, message, path, source, .. } = violation;
    let class = printable(&violation.object());
    let container = container.map(|container| format!(" {container}")).unwrap_or_default();
    let name = printable(&format!("{rule}{container}"));
    let message = printable(message);
    let place = source.map(|source| format!("{source}: ")).unwrap_or_default();
    let text = printable(&format!("{place}{path}: {message}"));
    xml.create_element("testcase")
        .with_attributes([("classname", class.as_str()), ("name", name.as_str())])
        .write_inner_content(|case| {
            case.create_element("failure")
                .with_attributes([("type", severity.as_str()), ("message", message.as_str())])
                .write_text_content(BytesText::new(&text))
                .map(|_| ())
        })
        .map(|_| ())
}

/// Replaces the characters that XML 1.0 cannot hold, even escaped.
fn printable(text: &str) -> String {
    let is_valid =
        |c: char| matches!(c, '\t' | '\n' | '\r') || (c >= ' ' && !matches!(c, '\u{fffe}' | '\u{ffff}'));
    text.chars().map(|c| if is_valid(c) { c } else { '\u{fffd}' }).collect()
}
