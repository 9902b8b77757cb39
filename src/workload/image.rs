//! The parts of a container image reference, by the grammar of the container registries.

/// A container image reference, split into its parts.
///
/// The split follows the grammar of
/// [distribution/reference](https://github.com/distribution/reference/blob/main/reference.go) and is total: text
/// outside the grammar still has parts, so that a rule can speak about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageReference<'a> {
    /// The registry and the repository as they are written.
    pub name: &'a str,
    /// The registry's host and port, where the reference names one.
    pub registry: Option<&'a str>,
    /// The repository within the registry.
    pub repository: &'a str,
    /// The tag, absent when empty.
    pub tag: Option<&'a str>,
    /// The digest with its algorithm, absent when empty.
    pub digest: Option<&'a str>,
}

impl<'a> ImageReference<'a> {
    /// Splits a reference into its parts.
    pub fn parse(reference: &'a str) -> Self {
        // Blanks around a reference are not part of it.
        let reference = reference.trim();
        let (rest, digest) = match reference.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (reference, None),
        };
        // A colon before the last slash belongs to a registry's port.
        let name_start = rest.rfind('/').map_or(0, |slash| slash + 1);
        let (name, tag) = match rest[name_start..].find(':') {
            Some(colon) => (&rest[..name_start + colon], Some(&rest[name_start + colon + 1..])),
            None => (rest, None),
        };
        let (registry, repository) = match name.split_once('/') {
            Some((host, path)) if is_registry(host) => (Some(host), path),
            _ => (None, name),
        };
        let non_empty = |part: &&str| !part.is_empty();
        Self { name, registry, repository, tag: tag.filter(non_empty), digest: digest.filter(non_empty) }
    }

    /// Returns true if the reference may name another image later: it has the tag `latest`, or neither tag nor digest.
    pub fn is_latest(&self) -> bool {
        self.digest.is_none() && self.tag.is_none_or(|tag| tag == "latest")
    }
}

/// Distinguishes a registry from the first component of a repository, by Docker's rule.
fn is_registry(component: &str) -> bool {
    component == "localhost" || component.contains(['.', ':']) || component.chars().any(char::is_uppercase)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parts(reference: &str) -> (Option<&str>, &str, Option<&str>, Option<&str>) {
        let image = ImageReference::parse(reference);
        (image.registry, image.repository, image.tag, image.digest)
    }

    #[test]
    fn every_part_is_found() {
        assert_eq!(parts("nginx"), (None, "nginx", None, None));
        assert_eq!(parts("nginx:1.27"), (None, "nginx", Some("1.27"), None));
        assert_eq!(parts("library/nginx:1.27"), (None, "library/nginx", Some("1.27"), None));
        assert_eq!(parts("ghcr.io/a/b:c@sha256:d"), (Some("ghcr.io"), "a/b", Some("c"), Some("sha256:d")));
        assert_eq!(parts("localhost/a"), (Some("localhost"), "a", None, None));
        assert_eq!(parts("[::1]:5000/a:b"), (Some("[::1]:5000"), "a", Some("b"), None));
    }

    #[test]
    fn a_registry_port_is_no_tag() {
        assert_eq!(parts("registry:5000/nginx"), (Some("registry:5000"), "nginx", None, None));
        assert!(ImageReference::parse("registry:5000/nginx").is_latest());
        assert_eq!(parts("registry:5000"), (None, "registry", Some("5000"), None));
    }

    #[test]
    fn an_empty_tag_is_no_tag() {
        assert!(ImageReference::parse("nginx:").is_latest());
        assert!(ImageReference::parse("nginx@").is_latest());
    }

    #[test]
    fn blanks_around_a_reference_are_ignored() {
        assert!(ImageReference::parse("nginx:latest ").is_latest());
        assert!(ImageReference::parse(" nginx:\n").is_latest());
        assert_eq!(parts(" nginx:1.27\t"), (None, "nginx", Some("1.27"), None));
    }

    #[test]
    fn a_digest_pins_the_image_whatever_its_tag() {
        let digest = format!("sha256:{}", "a".repeat(64));
        assert!(!ImageReference::parse(&format!("nginx@{digest}")).is_latest());
        assert!(!ImageReference::parse(&format!("nginx:latest@{digest}")).is_latest());
    }

    #[test]
    fn a_tag_that_only_begins_or_ends_with_latest_is_another_tag() {
        assert!(!ImageReference::parse("nginx:latest-alpine").is_latest());
        assert!(!ImageReference::parse("nginx:not-latest").is_latest());
        assert!(!ImageReference::parse("nginx:Latest").is_latest());
    }

    proptest! {
        #[test]
        fn a_reference_built_by_the_grammar_is_split_into_its_parts(
            registry in proptest::option::of("([a-z0-9]{1,8}\\.[a-z]{2,4}|localhost)(:[0-9]{1,5})?"),
            repository in "[a-z0-9]{1,8}((\\.|_|__|-{1,2})[a-z0-9]{1,5})?(/[a-z0-9]{1,8}){0,2}",
            tag in proptest::option::of("[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}"),
            digest in proptest::option::of("sha(256:[a-f0-9]{64}|512:[a-f0-9]{128})"),
        ) {
            // A first component that looks like a host is one.
            prop_assume!(registry.is_some() || !repository.split('/').next().is_some_and(|first| {
                repository.contains('/') && is_registry(first)
            }));
            let mut reference = registry.as_ref().map_or(String::new(), |host| format!("{host}/"));
            reference.push_str(&repository);
            if let Some(tag) = &tag {
                reference.push(':');
                reference.push_str(tag);
            }
            if let Some(digest) = &digest {
                reference.push('@');
                reference.push_str(digest);
            }
            prop_assert_eq!(
                parts(&reference),
                (registry.as_deref(), repository.as_str(), tag.as_deref(), digest.as_deref())
            );
        }

        #[test]
        fn any_text_has_parts(reference in ".*") {
            let image = ImageReference::parse(&reference);
            prop_assert!(image.repository.len() <= reference.len());
        }
    }
}
