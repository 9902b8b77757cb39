//! Many clusters at once: each is reached by itself, within its own time limit, and none holds up another.

mod survey;

pub use survey::{Limits, Member, MemberResult, Reached, Surveyed, survey};
