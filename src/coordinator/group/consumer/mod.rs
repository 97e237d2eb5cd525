//! The consumer protocol of groups (KIP-848).

mod assignor;
mod topic_hash;
