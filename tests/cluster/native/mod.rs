//! Native admission on a real API server: the policies alone, the operator that feeds them, and one verdict with `analyze`.

mod budget;
mod kept;
mod limits;
mod objects;
mod one_verdict;
mod updates;
