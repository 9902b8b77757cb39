//! Reads the API server's requests from its audit log.

use jiff::Timestamp;
use serde_json::Value;
use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// A position in the audit log. Requests after it arrived, or at least ended, later.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mark(u64);

/// One request. Fields that don't apply to it are empty.
#[derive(Clone, Debug)]
pub(crate) struct AuditEvent {
    pub(crate) user: String,
    pub(crate) verb: String,
    pub(crate) group: String,
    pub(crate) resource: String,
    pub(crate) subresource: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) user_agent: String,
    pub(crate) uri: String,
    pub(crate) code: u16,
    pub(crate) received: Timestamp,
}

impl AuditEvent {
    /// Returns true if the request came from this user, or from a user agent that begins with this text.
    pub(crate) fn by(&self, who: &str) -> bool {
        self.user == who || self.user_agent.starts_with(who)
    }

    fn read(event: &Value) -> Option<Self> {
        let text = |path| event.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
        Some(Self {
            user: text("/user/username"),
            verb: text("/verb"),
            group: text("/objectRef/apiGroup"),
            resource: text("/objectRef/resource"),
            subresource: text("/objectRef/subresource"),
            namespace: text("/objectRef/namespace"),
            name: text("/objectRef/name"),
            user_agent: text("/userAgent"),
            uri: text("/requestURI"),
            code: u16::try_from(event.pointer("/responseStatus/code")?.as_u64()?).ok()?,
            received: text("/requestReceivedTimestamp").parse().ok()?,
        })
    }
}

/// Returns the current end of the log.
pub(super) fn end(log: &Path) -> Mark {
    Mark(std::fs::metadata(log).map_or(0, |log| log.len()))
}

/// Returns the requests after a position, each once. A watch has one line at its start and another at its end.
pub(super) fn since(log: &Path, Mark(start): Mark) -> io::Result<Vec<AuditEvent>> {
    let mut lines = Vec::new();
    let mut file = File::open(log)?;
    file.seek(SeekFrom::Start(start))?;
    file.read_to_end(&mut lines)?;
    let mut seen = HashSet::new();
    // The text after the last line break is an incomplete line.
    let whole = lines.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
    Ok(lines[..whole]
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice::<Value>(line).ok())
        .filter(|event| seen.insert(event["auditID"].as_str().map(str::to_owned)))
        .filter_map(|event| AuditEvent::read(&event))
        .collect())
}
