//! The families of cases.

mod api_versions;
mod cluster;
mod configs;
mod topics;

use crate::case::Case;

/// Each family's name and cases.
pub(crate) const FAMILIES: &[(&str, fn() -> Vec<Case>)] = &[
    ("topics", topics::cases),
    ("configs", configs::cases),
    ("api-versions", api_versions::cases),
    ("cluster", cluster::cases),
];
