//! The consumer protocol of groups (KIP-848).

mod assignor;
