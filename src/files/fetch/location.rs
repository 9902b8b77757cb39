//! Resolves the target of a redirect against the URL that answered, by RFC 3986, section 5.2.

use http::Uri;
use http::uri::PathAndQuery;

/// Returns the URL that a `Location` header names; `None` when it is no URL for HTTP.
pub(super) fn resolve(base: &Uri, location: &str) -> Option<Uri> {
    let location = location.split('#').next().unwrap_or_default();
    let mut parts = base.clone().into_parts();
    let absolute = if let Some(rest) = location.strip_prefix("//") {
        format!("{}://{rest}", base.scheme_str()?)
    } else if has_scheme(location) {
        location.to_owned()
    } else {
        let (path, query) =
            location.split_once('?').map_or((location, None), |(path, query)| (path, Some(query)));
        let path = if path.is_empty() {
            base.path().to_owned()
        } else if path.starts_with('/') {
            without_dots(path)
        } else {
            let directory = base.path().rsplit_once('/').map_or("", |(directory, _)| directory);
            without_dots(&format!("{directory}/{path}"))
        };
        let query = query.map_or(String::new(), |query| format!("?{query}"));
        parts.path_and_query = Some(PathAndQuery::try_from(format!("{path}{query}")).ok()?);
        return Uri::from_parts(parts).ok();
    };
    let uri: Uri = absolute.parse().ok()?;
    let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
    (is_http && uri.host().is_some_and(|host| !host.is_empty())).then_some(uri)
}

/// Returns true if a reference begins with a scheme: a colon before any slash or question mark.
fn has_scheme(location: &str) -> bool {
    location.find([':', '/', '?']).is_some_and(|at| location.as_bytes()[at] == b':')
}

/// Removes the segments `.` and `..` from a path.
fn without_dots(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    let mut rest = path.split('/').skip(1).peekable();
    while let Some(segment) = rest.next() {
        match segment {
            ".." => {
                segments.pop();
            }
            "." => {}
            name => segments.push(name),
        }
        // A path that ends in a dot segment names a directory.
        if rest.peek().is_none() && matches!(segment, "." | "..") {
            segments.push("");
        }
    }
    format!("/{}", segments.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_resolved_against_the_url_that_answered() {
        let base: Uri = "https://example.com/a/b?q=1".parse().unwrap();
        for (location, expected) in [
            ("http://other.com/x", Some("http://other.com/x")),
            ("//other.com:8443/x", Some("https://other.com:8443/x")),
            ("/c/./d/../e?x=y#f", Some("https://example.com/c/e?x=y")),
            ("c", Some("https://example.com/a/c")),
            ("../c/", Some("https://example.com/c/")),
            ("../../../c", Some("https://example.com/c")),
            ("?p=a:b", Some("https://example.com/a/b?p=a:b")),
            ("", Some("https://example.com/a/b")),
            ("./", Some("https://example.com/a/")),
            ("ftp://example.com/x", None),
            ("file:///etc/passwd", None),
            ("mailto:a@example.com", None),
            ("https://", None),
        ] {
            assert_eq!(
                resolve(&base, location).map(|uri| uri.to_string()).as_deref(),
                expected,
                "{location}"
            );
        }
    }
}
