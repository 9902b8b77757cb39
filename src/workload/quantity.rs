//! Kubernetes resource quantities such as `100m` or `1.5Gi`.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};

/// An amount of a resource in billionths of its unit (cores, bytes), the precision of the Kubernetes API.
///
/// Read from the int-or-string form of the
/// [API](https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quantity(i128);

impl Quantity {
    /// Nothing of a resource.
    pub const ZERO: Self = Self(0);
    /// One of a resource.
    pub const ONE: Self = Self(Self::UNIT);
    /// One, in billionths.
    const UNIT: i128 = 1_000_000_000;

    /// Parses a quantity; `None` when the text is not one. An amount that is too large becomes the largest one.
    pub fn parse(text: &str) -> Option<Self> {
        let number_end =
            text.find(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | '+' | '-')).unwrap_or(text.len());
        let (number, suffix) = text.split_at(number_end);
        let (negative, digits) = match number.as_bytes().first()? {
            b'-' => (true, &number[1..]),
            b'+' => (false, &number[1..]),
            _ => (false, number),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if whole.len() + fraction.len() == 0
            || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit())
        {
            return None;
        }
        let scale = Scale::parse(suffix)?;
        let mut mantissa: i128 = 0;
        for digit in whole.bytes().chain(fraction.bytes()) {
            mantissa = mantissa.saturating_mul(10).saturating_add(i128::from(digit - b'0'));
        }
        let billionths = scale.apply(mantissa, i32::try_from(fraction.len()).ok()?)?;
        Some(Self(if negative { -billionths } else { billionths }))
    }

    /// Returns true if the quantity is more than zero; zero counts as no request and no limit.
    pub fn is_positive(self) -> bool {
        self.0 > 0
    }

    /// Returns true if the quantity is more than `times` as much as `other`; exact for the amounts of a cluster.
    pub fn is_more_than(self, times: Self, other: Self) -> bool {
        self.0.saturating_mul(Self::UNIT) > times.0.saturating_mul(other.0)
    }

    /// Returns the sum; the largest amount where that is too large.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// Returns the difference, which can be less than zero.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// Returns the product; the largest amount where that is too large.
    #[must_use]
    pub fn times(self, count: i64) -> Self {
        Self(self.0.saturating_mul(i128::from(count)))
    }

    /// Returns the percentage of another quantity that this one is, rounded down; 0 of nothing.
    pub fn percent_of(self, whole: Self) -> i128 {
        self.0.saturating_mul(100).checked_div(whole.0).unwrap_or(0)
    }

    /// Returns true if the quantity is less than zero.
    pub fn is_negative(self) -> bool {
        self.0 < 0
    }
}

/// The factor that a quantity's suffix stands for.
struct Scale {
    binary: i128,
    decimal_exponent: i32,
}

impl Scale {
    fn parse(suffix: &str) -> Option<Self> {
        let decimal = |decimal_exponent| Some(Self { binary: 1, decimal_exponent });
        let binary = |power: u32| Some(Self { binary: 1024_i128.pow(power), decimal_exponent: 0 });
        match suffix {
            "n" => decimal(-9),
            "u" => decimal(-6),
            "m" => decimal(-3),
            "" => decimal(0),
            "k" => decimal(3),
            "M" => decimal(6),
            "G" => decimal(9),
            "T" => decimal(12),
            "P" => decimal(15),
            "E" => decimal(18),
            "Ki" => binary(1),
            "Mi" => binary(2),
            "Gi" => binary(3),
            "Ti" => binary(4),
            "Pi" => binary(5),
            "Ei" => binary(6),
            _ => decimal(suffix.strip_prefix(['e', 'E'])?.parse().ok()?),
        }
    }

    /// Billionths of `mantissa / 10^fraction_digits` on this scale, rounded up as the API does.
    fn apply(&self, mantissa: i128, fraction_digits: i32) -> Option<i128> {
        let exponent = self.decimal_exponent.checked_sub(fraction_digits)?.checked_add(9)?;
        let scaled = mantissa.saturating_mul(self.binary);
        let power = 10_i128.checked_pow(exponent.unsigned_abs());
        if exponent >= 0 {
            Some(if scaled == 0 { 0 } else { power.map_or(i128::MAX, |power| scaled.saturating_mul(power)) })
        } else {
            Some(power.map_or(i128::from(scaled > 0), |power| scaled.saturating_add(power - 1) / power))
        }
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct QuantityVisitor;

        impl Visitor<'_> for QuantityVisitor {
            type Value = Quantity;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a quantity such as 100m, 0.5 or 128Mi")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Quantity, E> {
                Quantity::parse(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Quantity, E> {
                Ok(Quantity(i128::from(number) * 1_000_000_000))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Quantity, E> {
                Ok(Quantity(i128::from(number) * 1_000_000_000))
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Quantity, E> {
                Quantity::parse(&number.to_string())
                    .ok_or_else(|| E::invalid_value(Unexpected::Float(number), &self))
            }
        }

        deserializer.deserialize_any(QuantityVisitor)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn quantity(text: &str) -> Quantity {
        Quantity::parse(text).unwrap()
    }

    #[test]
    fn the_same_amount_is_equal_however_it_is_spelled() {
        assert_eq!(quantity("0.5"), quantity("500m"));
        assert_eq!(quantity("1Gi"), quantity("1024Mi"));
        assert_eq!(quantity("1e3"), quantity("1k"));
        assert_eq!(quantity("+.5"), quantity("5e-1"));
        assert_eq!(quantity("1E"), quantity("1000P"));
    }

    #[test]
    fn amounts_are_reckoned_with_as_precisely_as_they_are_kept() {
        let half = quantity("500m");
        assert_eq!(half.plus(half).times(3), quantity("3"));
        assert!(half.minus(quantity("501m")).is_negative());
        assert!(
            quantity("1").is_more_than(quantity("1.9"), half)
                && !quantity("1").is_more_than(quantity("2"), half)
        );
        assert_eq!(quantity("1e400").plus(half).times(2), quantity("1e400"));
    }

    #[test]
    fn zero_in_any_spelling_is_not_positive() {
        for zero in ["0", "0m", "0.0", "0Mi", "-0", "0e99"] {
            assert!(!quantity(zero).is_positive(), "{zero}");
        }
        assert!(quantity("1n").is_positive());
    }

    #[test]
    fn amounts_beyond_the_range_become_the_largest_one() {
        for large in ["1e400", "99999999999999999999999999Ei", &"9".repeat(60)] {
            assert_eq!(quantity(large), Quantity(i128::MAX), "{large}");
        }
        assert_eq!(quantity("-1e400"), Quantity(-i128::MAX));
    }

    #[test]
    fn text_that_is_no_quantity_is_refused() {
        for text in ["", "m", "1 Gi", "1gi", "--1", "1.2.3", "ten", "1KB", "."] {
            assert_eq!(Quantity::parse(text), None, "{text}");
        }
    }

    #[test]
    fn numbers_and_strings_read_alike() {
        let read = |yaml: &str| yaml_serde::from_str::<Quantity>(yaml).unwrap();
        assert_eq!(read("2"), quantity("2"));
        assert_eq!(read("0.5"), quantity("500m"));
        assert_eq!(read("'128Mi'"), quantity("128Mi"));
    }

    proptest! {
        #[test]
        fn any_text_is_evaluated_without_a_panic(text in ".*") {
            let _ = Quantity::parse(&text);
        }

        #[test]
        fn milli_units_order_as_their_numbers(a in 0u32.., b in 0u32..) {
            prop_assert_eq!(quantity(&format!("{a}m")).cmp(&quantity(&format!("{b}m"))), a.cmp(&b));
        }
    }
}
