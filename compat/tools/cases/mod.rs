//! The families of cases.

mod api_versions;
mod cluster;
mod configs;
mod console;
mod consumer_groups;
mod topics;

use crate::case::Case;

/// A name and what gives its cases.
type Family = (&'static str, fn() -> Vec<Case>);

pub(crate) const FAMILIES: &[Family] = &[
    ("topics", topics::cases),
    ("configs", configs::cases),
    ("api-versions", api_versions::cases),
    ("cluster", cluster::cases),
    ("consumer-groups", consumer_groups::cases),
    // Its consumers leave groups behind whose names nobody knows: it is the last.
    ("console", console::cases),
];
