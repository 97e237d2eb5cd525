//! The differences that are meant, with the reason for each. One that does not occur any more fails a whole run.

/// Differences that are no failure. Everything but the reason is a pattern, in which `*` stands for any text.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) api: &'static str,
    pub(crate) step: &'static str,
    pub(crate) path: &'static str,
    pub(crate) ours: &'static str,
    pub(crate) theirs: &'static str,
    pub(crate) why: &'static str,
}

pub(crate) const ACCEPTED: &[Accepted] = &[];
