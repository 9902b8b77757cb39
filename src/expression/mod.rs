//! Expressions in CEL, the language of `ValidatingAdmissionPolicy`: parsed once, and evaluated in counted steps.
//!
//! The crate `cel` parses. Its interpreter has no limit on the cost of an evaluation, so this module evaluates a documented
//! subset itself (`docs/custom-rules.md`): no expression takes more than [`MAX_STEPS`]. The differences between Go and
//! Rust are evened out, so that the API server gives the same answer.

mod equality;
mod evaluate;
mod expression_error;
mod function;
mod node;
mod number;
mod operator;
mod parsed;
mod pattern;
mod resolve;
mod steps;
mod strings;
mod value;

pub use expression_error::ExpressionError;
pub use parsed::Expression;
pub use steps::{EvaluationError, MAX_LENGTH, MAX_NESTING, MAX_STEPS};

#[cfg(test)]
mod tests;
