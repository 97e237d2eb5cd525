//! What a reader has to know of the machine to judge the figures.

use std::fs;

/// The head of the document: what was run, when and where.
pub(crate) fn preface() -> String {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let (cpus, memory) = (read("/proc/cpuinfo"), read("/proc/meminfo"));
    let model = value_of(&cpus, "model name").unwrap_or("unknown");
    let cores = cpus.lines().filter(|line| line.starts_with("processor")).count();
    let memory_kib: u64 = value_of(&memory, "MemTotal")
        .and_then(|text| text.split_whitespace().next()?.parse().ok())
        .unwrap_or(0);
    format!(
        "# Benchmarks\n\n\
         Ottla {version} beside Apache Kafka 4.3.0, both with their default settings, one node each, on one machine in one \
         run: `cargo bench --bench vs_kafka`. This page is what that command has written.\n\n\
         {cores} cores ({model}), {memory} GiB of memory, Linux {kernel}. Broker, generator and clients share these cores.\n\n\
         A GB is 10^9 bytes. Where several are named they took turns, and the middle of the rounds counts. \"Ottla again\" is \
         the same binary once more: what it differs from the first column is noise. An aim is what this project set itself \
         before it measured.\n",
        version = env!("CARGO_PKG_VERSION"),
        memory = memory_kib >> 20,
        kernel = read("/proc/sys/kernel/osrelease").trim(),
    )
}

fn value_of<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim())
}
