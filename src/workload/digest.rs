//! A short digest of a text. It shows if the text changed.

use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};

/// Returns the first 16 hexadecimal digits of the SHA-256 of a text.
pub fn short_digest(text: &str) -> String {
    digest(&SHA256, text.as_bytes()).as_ref().iter().take(8).fold(String::new(), |mut hex, byte| {
        // Writing to a string can't fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_the_beginning_of_the_sha_256() {
        // `printf abc | sha256sum`
        assert_eq!(short_digest("abc"), "ba7816bf8f01cfea");
    }
}
