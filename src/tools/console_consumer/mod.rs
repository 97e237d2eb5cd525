//! `kafka-console-consumer`: prints the records of topics.

mod formatter;
mod options;

use std::io::{self, Write};

use tokio::time::{Instant, timeout_at};

use super::flags::Flags;
use super::reach::{check_servers, wait_for};
use super::stop::Stop;
use super::{Failure, print_line};
use crate::client::{Consumer, Exception};
pub(super) use options::OPTIONS;
use options::Plan;

/// Printed records go out when there are so many bytes, or no more records.
const OUTPUT_BYTES: usize = 64 << 10;
const TIMEOUT: &str = "org.apache.kafka.common.errors.TimeoutException";
/// As good as for ever.
const DAYS_30: std::time::Duration = std::time::Duration::from_hours(720);

/// What was printed, and what is still to be written.
struct Printer {
    plan: Plan,
    skips_errors: bool,
    count: u64,
    out: Vec<u8>,
    /// Why it ends, with what exit code.
    failure: Option<Failure>,
}

impl Printer {
    fn is_full(&self) -> bool {
        self.plan.messages_max.is_some_and(|most| self.count >= most)
    }
}

/// Runs the tool.
pub(super) async fn run(flags: Flags) -> Result<(), Failure> {
    let plan = options::plan(&flags)?;
    let servers = flags.get("bootstrap-server").unwrap_or_default();
    check_servers(servers).await.map_err(|message| {
        let class = "org.apache.kafka.common.config.ConfigException";
        Failure::err(format!("ERROR Unknown error when running consumer: {class}: {message}"))
    })?;
    let mut stop = Stop::catch()?;
    let (out, failure) = (Vec::new(), None);
    let skips_errors = flags.has("skip-message-on-error");
    let mut printer = Printer { plan, skips_errors, count: 0, out, failure };
    let mut consumer = None;
    let outcome = tokio::select! {
        code = stop.asked() => Err(Failure { code: Some(code), ..Failure::default() }),
        outcome = work(servers, &mut consumer, &mut printer) => outcome,
    };
    if let Some(consumer) = consumer {
        tokio::select! {
            _ = stop.asked() => {}
            () = consumer.close() => {}
        }
    }
    eprintln!("Processed a total of {} messages", printer.count);
    let is_stopped = outcome.as_ref().is_err_and(|failure| failure.code.is_some());
    if flags.has("enable-systest-events") && is_stopped {
        print_line("shutdown_complete");
    }
    outcome
}

/// Connects and prints. As in Kafka it is no failure that nobody was there in time.
async fn work(
    servers: &str,
    consumer: &mut Option<Consumer>,
    printer: &mut Printer,
) -> Result<(), Failure> {
    let Plan { client_id, request_timeout, timeout, .. } = &printer.plan;
    let Some(cluster) = wait_for(client_id, servers, *request_timeout, *timeout).await else {
        eprintln!("{}", terminated(TIMEOUT));
        return Ok(());
    };
    let consumer = consumer.insert(Consumer::new(cluster, printer.plan.consumer.clone()));
    print_all(consumer, printer).await
}

fn terminated(cause: &str) -> String {
    format!("ERROR Error processing message, terminating consumer process: {cause}")
}

/// Prints until there is enough, nothing comes, or something is wrong: of that only a record that cannot be printed makes a
/// failure, as in Kafka.
async fn print_all(consumer: &mut Consumer, printer: &mut Printer) -> Result<(), Failure> {
    let idle = printer.plan.timeout.unwrap_or(DAYS_30);
    while !printer.is_full() {
        match timeout_at(Instant::now() + idle, consumer.wait()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                eprintln!("{}", terminated(&Exception::from(&error).to_string()));
                return Ok(());
            }
            Err(_) => {
                eprintln!("{}", terminated(TIMEOUT));
                return Ok(());
            }
        }
        let taken = take(consumer, printer);
        let out = std::mem::take(&mut printer.out);
        let written = tokio::task::spawn_blocking(move || {
            let mut stdout = io::stdout().lock();
            stdout.write_all(&out).and_then(|()| stdout.flush())
        });
        if !matches!(consumer.alive(written).await, Ok(Ok(()))) {
            eprintln!("Unable to write to standard out, closing consumer.");
            return Ok(());
        }
        if let Some(failure) = printer.failure.take() {
            return Err(failure);
        }
        if let Err(error) = taken {
            eprintln!("{}", terminated(&error.to_string()));
            return Ok(());
        }
    }
    Ok(())
}

/// Takes what is there, up to what goes out at once.
fn take(consumer: &mut Consumer, printer: &mut Printer) -> Result<(), crate::client::ClientError> {
    while printer.out.len() < OUTPUT_BYTES && printer.failure.is_none() {
        let has_more = consumer.take(|taken| {
            if printer.is_full() || printer.failure.is_some() {
                return false;
            }
            printer.count += 1;
            if let Err(wrong) = printer.plan.formatter.write(&taken, &mut printer.out) {
                let exception = Exception::new("SerializationException", wrong);
                if printer.skips_errors {
                    eprintln!("ERROR Error processing message, skipping this message: {exception}");
                } else {
                    let message = format!("ERROR Unknown error when running consumer: {exception}");
                    printer.failure = Some(Failure::err(message));
                }
            }
            true
        })?;
        if !has_more {
            break;
        }
    }
    Ok(())
}
