//! A boolean on the command line.

/// Parses a boolean as kubectl does, in the spellings of Go's `strconv.ParseBool`.
pub(super) fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("write true or false".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booleans_have_the_spellings_of_go() {
        assert_eq!(["1", "T", "True"].map(boolean), [const { Ok(true) }; 3]);
        assert_eq!(["0", "f", "FALSE"].map(boolean), [const { Ok(false) }; 3]);
        for text in ["yes", "tRUE", "", "2"] {
            assert!(boolean(text).is_err(), "{text}");
        }
    }
}
