//! What is counted while requests are answered, the line a second that tells of it, and the report at the end.
//!
//! A megabyte is 10^6 bytes. Latencies are nanoseconds in a histogram of three significant digits and milliseconds in
//! the report.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Map, Value};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

use crate::client::ClientError;

const LATENCY_MAX: Duration = Duration::from_hours(1);
const SIGNIFICANT_DIGITS: u8 = 3;
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);
const QUANTILES: [(&str, f64); 4] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99_9", 0.999)];
const NAME_WIDTH: usize = 32;

/// Counts since some moment.
#[derive(Clone, Debug)]
struct Counts {
    requests: u64,
    records: u64,
    bytes: u64,
    latency_ns: Histogram<u64>,
}

impl Counts {
    fn new() -> Self {
        let max = LATENCY_MAX.as_nanos() as u64;
        let latency_ns = Histogram::new_with_bounds(1, max, SIGNIFICANT_DIGITS)
            .expect("the bounds are constant and right");
        Self { requests: 0, records: 0, bytes: 0, latency_ns }
    }

    fn add(&mut self, latency: Duration, records: u64, bytes: u64) {
        self.requests += 1;
        self.records += records;
        self.bytes += bytes;
        self.latency_ns.saturating_record(latency.as_nanos().try_into().unwrap_or(u64::MAX));
    }
}

#[derive(Debug)]
struct State {
    started: Instant,
    last: Instant,
    total: Counts,
    interval: Counts,
    errors: BTreeMap<String, u64>,
}

/// Counts what all connections do. Clones count together.
#[derive(Clone, Debug)]
pub(super) struct Meter(Arc<Mutex<State>>);

impl Meter {
    /// Starts the clock.
    pub(super) fn new() -> Self {
        let started = Instant::now();
        let (total, interval) = (Counts::new(), Counts::new());
        let errors = BTreeMap::new();
        Self(Arc::new(Mutex::new(State { started, last: started, total, interval, errors })))
    }

    /// Starts the clock anew; nothing was counted yet.
    pub(super) fn restart(&self) {
        let state = &mut *self.state();
        state.started = Instant::now();
        state.last = state.started;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request that was due at that time is done, with so many records and bytes.
    pub(super) fn done(&self, due: Instant, records: u64, bytes: u64) {
        let now = Instant::now();
        let state = &mut *self.state();
        state.last = now;
        for counts in [&mut state.total, &mut state.interval] {
            counts.add(now.saturating_duration_since(due), records, bytes);
        }
    }

    /// Something failed, with Kafka's name for it.
    pub(super) fn failed(&self, error: &str) {
        let state = &mut *self.state();
        state.last = Instant::now();
        *state.errors.entry(error.to_owned()).or_default() += 1;
    }

    /// A connection ended; what went wrong is said at once, and counted.
    pub(super) fn ended(&self, outcome: Result<(), ClientError>) {
        if let Err(error) = outcome {
            eprintln!("ottla: {error}");
            self.failed(error.name());
        }
    }

    /// Waits for the connections; one that panicked has failed.
    pub(super) async fn all_done(&self, mut work: JoinSet<()>) {
        while let Some(ended) = work.join_next().await {
            if ended.is_err() {
                self.failed("UNKNOWN_SERVER_ERROR");
            }
        }
    }

    /// Counts of the records so far.
    pub(super) fn records(&self) -> u64 {
        self.state().total.records
    }

    /// Tells of itself once a second on standard error until the returned value is dropped.
    pub(super) fn tell(&self, what: &'static str) -> Telling {
        let meter = self.clone();
        let telling = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(PROGRESS_INTERVAL);
            ticks.tick().await;
            loop {
                ticks.tick().await;
                eprintln!("{what}: {}", meter.progress());
            }
        });
        Telling(telling.abort_handle())
    }

    fn progress(&self) -> String {
        let state = &mut *self.state();
        let Counts { requests, records, bytes, latency_ns } = &state.interval;
        let (total, errors) = (&state.total, state.errors.values().sum::<u64>());
        let line = format!(
            "{:.0} s: {requests} requests/s, {records} records/s, {:.1} MB/s, p50 {:.3} ms, p99 {:.3} ms; \
             in all {} requests, {} records, {:.1} MB, p99 {:.3} ms, {errors} errors",
            state.started.elapsed().as_secs_f64(),
            megabytes(*bytes),
            quantile_ms(latency_ns, 0.5),
            quantile_ms(latency_ns, 0.99),
            total.requests,
            total.records,
            megabytes(total.bytes),
            quantile_ms(&total.latency_ns, 0.99),
        );
        state.interval = Counts::new();
        line
    }

    /// The figures, from the start to the last answer.
    pub(super) fn figures(&self) -> Vec<(String, Value)> {
        let state = &*self.state();
        let Counts { requests, records, bytes, latency_ns } = &state.total;
        let elapsed_s = (state.last - state.started).as_secs_f64();
        // Nothing in no time is a rate of nothing.
        let per_s = |count: f64| rounded(count / elapsed_s.max(f64::MIN_POSITIVE));
        let mut rows = vec![
            ("elapsed_s".into(), rounded(elapsed_s)),
            ("requests".into(), (*requests).into()),
            ("records".into(), (*records).into()),
            ("bytes".into(), (*bytes).into()),
            ("requests_per_s".into(), per_s(*requests as f64)),
            ("records_per_s".into(), per_s(*records as f64)),
            ("mb_per_s".into(), per_s(megabytes(*bytes))),
        ];
        for (name, quantile) in QUANTILES {
            let quantile_ms = rounded(quantile_ms(latency_ns, quantile));
            rows.push((format!("latency_ms.{name}"), quantile_ms));
        }
        rows.push(("latency_ms.max".into(), rounded(milliseconds(latency_ns.max()))));
        rows.extend(state.errors.iter().map(|(name, count)| (error_row(name), (*count).into())));
        rows
    }
}

fn error_row(name: &str) -> String {
    format!("errors.{name}")
}

fn quantile_ms(latency_ns: &Histogram<u64>, quantile: f64) -> f64 {
    milliseconds(latency_ns.value_at_quantile(quantile))
}

fn milliseconds(nanos: u64) -> f64 {
    nanos as f64 / 1e6
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// A number with as many digits as anybody reads.
pub(super) fn rounded(number: f64) -> Value {
    ((number * 1e6).round() / 1e6).into()
}

/// Tells of a meter as long as it lives.
#[derive(Debug)]
pub(super) struct Telling(AbortHandle);

impl Drop for Telling {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What came out. The names of rows have dots where the JSON has objects.
#[derive(Debug)]
pub(super) struct Report {
    rows: Vec<(String, Value)>,
}

impl Report {
    /// The report of a command with these settings.
    pub(super) fn new(command: &str, settings: &Value) -> Self {
        let mut rows = vec![("command".to_owned(), command.into())];
        let settings = settings.as_object().into_iter().flatten();
        rows.extend(settings.map(|(name, value)| (format!("settings.{name}"), value.clone())));
        Self { rows }
    }

    /// Adds one figure.
    #[must_use]
    pub(super) fn figure(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.rows.push((name.to_owned(), value.into()));
        self
    }

    /// Adds what a meter counted, under a name of its own if there is one.
    #[must_use]
    pub(super) fn meter(mut self, group: &str, meter: &Meter) -> Self {
        for (name, value) in meter.figures() {
            let name = if group.is_empty() || name.starts_with("errors.") {
                name
            } else {
                format!("{group}.{name}")
            };
            match self.rows.iter_mut().find(|row| row.0 == name) {
                // Two meters have met the same error.
                Some(row) => {
                    row.1 = (row.1.as_u64().unwrap_or(0) + value.as_u64().unwrap_or(0)).into();
                }
                None => self.rows.push((name, value)),
            }
        }
        self
    }

    /// Whether anything went wrong.
    pub(super) fn failed(&self) -> bool {
        self.rows.iter().any(|(name, _)| name.starts_with("errors."))
    }

    fn json(&self) -> Value {
        let mut object = Map::from_iter([("errors".to_owned(), Map::new().into())]);
        for (name, value) in &self.rows {
            match name.split_once('.') {
                None => drop(object.insert(name.clone(), value.clone())),
                Some(_) => insert(&mut object, name, value),
            }
        }
        object.insert("failed".into(), self.failed().into());
        object.into()
    }

    /// Prints a table, or one object of JSON.
    pub(super) fn print(&self, json: bool, out: &mut dyn Write) -> io::Result<()> {
        if json {
            writeln!(out, "{}", self.json())?;
        } else {
            for (name, value) in &self.rows {
                match value {
                    Value::String(text) => writeln!(out, "{name:NAME_WIDTH$} {text}")?,
                    other => writeln!(out, "{name:NAME_WIDTH$} {other}")?,
                }
            }
        }
        out.flush()
    }
}

/// Puts a value into the objects that its name goes through.
fn insert(object: &mut Map<String, Value>, name: &str, value: &Value) {
    let Some((first, rest)) = name.split_once('.') else {
        object.insert(name.to_owned(), value.clone());
        return;
    };
    let inner = object.entry(first).or_insert_with(|| Map::new().into());
    if let Some(inner) = inner.as_object_mut() {
        insert(inner, rest, value);
    }
}
