//! What commands write.

mod columns;
mod stdout;

pub use columns::columns;
pub use stdout::to_stdout;
