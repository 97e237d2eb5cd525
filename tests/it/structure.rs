//! The shape of the source: who may import whom, and how long a file may be.

use std::fs;
use std::path::{Path, PathBuf};

/// A module imports only from those before it (docs/architecture.md).
const ORDER: [&str; 21] = [
    "env",
    "telemetry",
    "config",
    "container",
    "wire",
    "records",
    "log",
    "partition",
    "shard",
    "metadata",
    "coordinator",
    "seed",
    "dump_log",
    "client",
    "tools",
    "bench",
    "api",
    "net",
    "broker",
    "lib",
    "main",
];
/// Longest file of the source, its tests included.
const LINES_MAX: usize = 800;

fn sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.clone()];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                sources.push((path.strip_prefix(&root).unwrap().to_owned(), text));
            }
        }
    }
    sources
}

fn rank(module: &str) -> Option<usize> {
    ORDER.iter().position(|name| *name == module)
}

#[test]
fn modules_import_only_from_the_left() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let first = path.components().next().unwrap().as_os_str().to_string_lossy();
        let module = first.trim_end_matches(".rs");
        let own = rank(module).unwrap_or_else(|| panic!("{module} has no place in the order"));
        // What stands behind the first test module may use anything.
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let is_test = path.to_string_lossy().contains("test");
        for part in code.split("crate::").skip(1).filter(|_| !is_test && own < rank("lib").unwrap())
        {
            let name: String =
                part.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if rank(&name).is_some_and(|imported| imported > own) {
                wrong.push(format!("{} imports {name}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn files_stay_short() {
    let long: Vec<String> = sources()
        .into_iter()
        .map(|(path, text)| (path, text.lines().count()))
        .filter(|(_, lines)| *lines > LINES_MAX)
        .map(|(path, lines)| format!("{}: {lines} lines", path.display()))
        .collect();
    assert!(long.is_empty(), "{long:#?}");
}
