//! The consumer protocol of groups (KIP-848).

mod assignor;
mod regex;
mod topic_hash;
