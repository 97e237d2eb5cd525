//! One test for each rule, named after it.
