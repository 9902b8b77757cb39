//! The limits of an expression, and of the work of one evaluation.

use std::cell::Cell;
use std::rc::Rc;

/// The most characters of an expression.
pub const MAX_LENGTH: usize = 4096;
/// The deepest nesting of an expression.
pub const MAX_NESTING: usize = 100;
/// The deepest nesting of brackets and conditions for the parser.
pub(super) const MAX_BRACKETS: u16 = 64;
/// The most steps of one evaluation. Each operation is a step, and so are ten characters or one item that it reads.
pub const MAX_STEPS: u32 = 20_000;

/// The reason why an evaluation has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvaluationError {
    /// An operation can't be applied to its values, for example to a field that is absent.
    #[error("{0}")]
    Operation(Rc<str>),
    /// The steps are used up.
    #[error("it takes more than {MAX_STEPS} steps")]
    Steps,
}

impl EvaluationError {
    /// Makes an error of an operation.
    pub(super) fn of(message: impl Into<Rc<str>>) -> Self {
        Self::Operation(message.into())
    }
}

/// The result of a part of an evaluation.
pub(super) type Evaluated<T> = Result<T, EvaluationError>;

/// The steps that are left.
#[derive(Debug)]
pub(super) struct Steps(Cell<u32>);

impl Steps {
    pub(super) fn new() -> Self {
        Self(Cell::new(MAX_STEPS))
    }

    /// Takes steps away; fails if there are not as many left.
    pub(super) fn take(&self, count: usize) -> Evaluated<()> {
        let left = u32::try_from(count).ok().and_then(|count| self.0.get().checked_sub(count));
        self.0.set(left.unwrap_or(0));
        left.map(|_| ()).ok_or(EvaluationError::Steps)
    }

    /// Takes the steps that a text costs.
    pub(super) fn take_text(&self, text: &str) -> Evaluated<()> {
        self.take(text.len() / 10)
    }
}
