//! placeholder
/// placeholder
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diff;
