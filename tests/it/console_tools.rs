//! `kafka-console-producer` and `kafka-console-consumer`, as people call them, against an Ottla.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::Offset;
use rustix::process::{Pid, Signal, kill_process};

use crate::broker::{Broker, ottla};
use crate::group_clients::{committed, consumer_config, create_topic, described, lines, send};
use crate::wait::until;

const TIMEOUT: Duration = Duration::from_mins(1);

/// A tool with its arguments, one a word, and with the broker to ask.
pub(crate) fn tool(broker: &Broker, name: &str, arguments: &str) -> Command {
    let mut command = ottla();
    command.arg(name).args(arguments.split_whitespace());
    command.args(["--bootstrap-server", &broker.bootstrap_servers()]);
    command.stdin(Stdio::null());
    command
}

/// Runs a tool to its end with this as its input.
fn fed(mut command: Command, input: &str) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A tool that has failed does not read on.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn produce(broker: &Broker, arguments: &str, input: &str) -> Output {
    fed(tool(broker, "kafka-console-producer", arguments), input)
}

fn consume(broker: &Broker, arguments: &str) -> Output {
    tool(broker, "kafka-console-consumer", arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn assert_ran(output: &Output) {
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
}

/// A consumer that runs until it is stopped; what it prints is read meanwhile.
struct Running {
    child: Child,
    printed: thread::JoinHandle<String>,
}

impl Running {
    fn start(broker: &Broker, arguments: &str) -> Self {
        let mut command = tool(broker, "kafka-console-consumer", arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut output = child.stdout.take().unwrap();
        let printed = thread::spawn(move || {
            let mut text = String::new();
            output.read_to_string(&mut text).unwrap();
            text
        });
        Self { child, printed }
    }

    /// Its lines, after what it said last and its exit code were checked.
    fn stop(self, signal: Signal, code: i32) -> Vec<String> {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
        let output = self.child.wait_with_output().unwrap();
        let lines: Vec<String> = self.printed.join().unwrap().lines().map(str::to_owned).collect();
        let said = text(&output.stderr);
        let total = format!("Processed a total of {} messages", lines.len());
        assert_eq!(said.lines().last(), Some(total.as_str()), "{said}");
        assert_eq!(output.status.code(), Some(code));
        lines
    }
}

#[test]
fn lines_are_sent_and_printed() {
    let broker = Broker::start();
    create_topic(broker.port(), "t", 1);
    let reader = "--reader-property parse.key=true --reader-property parse.headers=true --reader-property null.marker=-";
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let input = "a:1,b:-\tk\tvalue\n-\t-\tßig\nh:\tk2\t-\r\n";
        let arguments = format!("--topic t {reader} --compression-codec {codec}");
        assert_ran(&produce(&broker, &arguments, input));
    }
    let printed = consume(
        &broker,
        "--topic t --from-beginning --max-messages 15 --formatter-property print.key=true --formatter-property \
         print.headers=true --formatter-property print.offset=true --formatter-property null.literal=NULL",
    );
    assert_ran(&printed);
    let expected = (0..5).map(|round| {
        let offsets = [3 * round, 3 * round + 1, 3 * round + 2];
        format!(
            "Offset:{}\ta:1,b:NULL\tk\tvalue\nOffset:{}\tNO_HEADERS\tNULL\tßig\nOffset:{}\th:\tk2\tNULL\n",
            offsets[0], offsets[1], offsets[2]
        )
    });
    assert_eq!(text(&printed.stdout), expected.collect::<String>());
    assert_eq!(text(&printed.stderr), "Processed a total of 15 messages\n");
}

#[test]
fn one_partition_is_read_from_an_offset() {
    let broker = Broker::start();
    create_topic(broker.port(), "t", 2);
    send(broker.port(), "t", 2, 0..100);
    let printed = consume(
        &broker,
        "--topic t --partition 1 --offset 45 --timeout-ms 1000 --property print.partition=true",
    );
    assert_ran(&printed);
    let expected: String = [91, 93, 95, 97, 99].map(|it| format!("Partition:1\t{it}\n")).concat();
    let warning = "Option --property is deprecated and will be removed in a future version. Use --formatter-property instead.\n";
    assert_eq!(text(&printed.stdout), format!("{warning}{expected}"));
    let said = text(&printed.stderr);
    assert!(
        said.contains("TimeoutException") && said.ends_with("Processed a total of 5 messages\n"),
        "{said}"
    );
    let printed = consume(&broker, "--topic t --partition 0 --offset earliest --max-messages 3");
    assert_eq!(text(&printed.stdout), "0\n2\n4\n");
}

#[test]
fn a_topic_is_created_by_its_first_line() {
    let broker = Broker::start();
    let consumer = Running::start(&broker, "--topic new --from-beginning --max-messages 2");
    assert_ran(&produce(&broker, "--topic new --sync --request-required-acks 1", "one\ntwo\n"));
    let output = consumer.child.wait_with_output().unwrap();
    assert_eq!(text(&output.stderr).lines().last(), Some("Processed a total of 2 messages"));
    assert_eq!(consumer.printed.join().unwrap(), "one\ntwo\n");
    assert_ran(&produce(&broker, "--topic new --request-required-acks 0", "three\n"));
    let printed = consume(&broker, "--topic new --partition 0 --offset 2 --max-messages 1");
    assert_eq!(text(&printed.stdout), "three\n");
}

#[test]
fn a_line_without_its_key_ends_the_producer_after_those_before() {
    let broker = Broker::start();
    create_topic(broker.port(), "t", 1);
    let ended =
        produce(&broker, "--topic t --reader-property parse.key=true", "k\tv\nplain\nk\tw\n");
    assert_eq!(ended.status.code(), Some(1));
    let expected = "org.apache.kafka.common.KafkaException: No key separator found on line number 2: 'plain'\n";
    assert_eq!(text(&ended.stderr), expected);
    let printed = consume(&broker, "--topic t --from-beginning --timeout-ms 2000");
    assert_eq!(text(&printed.stdout), "v\n");
}

#[test]
fn a_record_that_no_broker_takes_is_told_of() {
    let broker = Broker::start_with(&["message.max.bytes=1000"]);
    create_topic(broker.port(), "t", 1);
    let input = format!("small\n{}\nsmall again\n", "x".repeat(3000));
    let ended = produce(&broker, "--topic t --batch-size 100", &input);
    assert_ran(&ended);
    let expected = "ERROR Error when sending message to topic t with key: null, value: 3000 bytes with error: \
                    org.apache.kafka.common.errors.RecordTooLargeException: The request included a message larger than \
                    the max message size the server will accept.\n";
    assert_eq!(text(&ended.stderr), expected);
    let ended = produce(&broker, "--topic t --sync", &input);
    assert_eq!(ended.status.code(), Some(1));
    assert!(text(&ended.stderr).starts_with("java.util.concurrent.ExecutionException: org.apache"));
    let printed = consume(&broker, "--topic t --from-beginning --max-messages 3");
    assert_eq!(text(&printed.stdout), "small\nsmall again\nsmall\n");
}

#[test]
fn a_topic_that_never_comes_is_given_up() {
    let broker = Broker::start_with(&["auto.create.topics.enable=false"]);
    let ended = produce(&broker, "--topic none --max-block-ms 300", "one\n");
    assert_ran(&ended);
    let expected = "org.apache.kafka.common.errors.TimeoutException: Topic none not present in metadata after 300 ms.\n";
    assert!(text(&ended.stderr).ends_with(expected), "{}", text(&ended.stderr));
    let ended = produce(&broker, "--topic in/valid --sync", "one\n");
    assert_eq!(ended.status.code(), Some(1));
    assert!(text(&ended.stderr).ends_with("InvalidTopicException: Invalid topics: [in/valid]\n"));
}

#[test]
fn a_named_group_goes_on_where_it_was() {
    let broker = Broker::start();
    create_topic(broker.port(), "t", 1);
    send(broker.port(), "t", 1, 0..10);
    let first = consume(&broker, "--topic t --group g --from-beginning --max-messages 4");
    assert_eq!(text(&first.stdout), lines(0..4));
    assert_eq!(committed(broker.port(), "g", "t").0, Offset::Offset(4));
    let rest = consume(&broker, "--topic t --group g --from-beginning --max-messages 6");
    assert_eq!(text(&rest.stdout), lines(4..10));
    // It has left, and did not wait to be missed.
    assert_eq!(described(broker.port(), "g").0, "Empty");
    let all = consume(&broker, "--include t --from-beginning --max-messages 10");
    assert_eq!(text(&all.stdout), lines(0..10));
}

#[test]
fn members_share_the_partitions_with_a_member_of_another_kind() {
    let broker = Broker::start();
    create_topic(broker.port(), "t", 6);
    let mut config = consumer_config(broker.port(), "g");
    config.set("partition.assignment.strategy", "range");
    let other: BaseConsumer = config.create().unwrap();
    other.subscribe(&["t"]).unwrap();
    let arguments =
        "--topic t --group g --from-beginning --command-property auto.commit.interval.ms=100";
    let own = [(); 2].map(|()| Running::start(&broker, arguments));
    // Each of the three has two.
    until("three members", TIMEOUT, || {
        assert!(other.poll(Duration::from_millis(10)).is_none());
        (other.assignment().unwrap().count() == 2).then_some(())
    });
    send(broker.port(), "t", 6, 0..60);
    let mut numbers = BTreeSet::new();
    until("the other's part", TIMEOUT, || {
        let record = other.poll(Duration::from_millis(10))?.unwrap();
        let payload = rdkafka::Message::payload(&record).unwrap().to_vec();
        numbers.insert(text(&payload));
        (numbers.len() == 20).then_some(())
    });
    let settled = "--topic t --group g --timeout-ms 1";
    assert_ran(&consume(&broker, settled));
    for (member, (signal, code)) in own.into_iter().zip([(Signal::INT, 130), (Signal::TERM, 143)]) {
        let lines = member.stop(signal, code);
        assert!(lines.len() >= 20, "{lines:?}");
        numbers.extend(lines);
    }
    assert_eq!(numbers.len(), 60);
}

#[test]
fn aborted_transactions_are_skipped_if_asked() {
    let broker = Broker::start();
    create_topic(broker.port(), "t", 1);
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", broker.bootstrap_servers()).set("transactional.id", "id");
    let producer: BaseProducer = config.create().unwrap();
    producer.init_transactions(TIMEOUT).unwrap();
    for (value, commits) in [("kept", true), ("dropped", false), ("kept too", true)] {
        producer.begin_transaction().unwrap();
        for _ in 0..2 {
            producer.send(BaseRecord::<(), str>::to("t").payload(value)).unwrap();
        }
        producer.flush(TIMEOUT).unwrap();
        if commits {
            producer.commit_transaction(TIMEOUT).unwrap();
        } else {
            producer.abort_transaction(TIMEOUT).unwrap();
        }
    }
    let all = "--topic t --group all --from-beginning --max-messages";
    let printed = consume(&broker, &format!("{all} 6"));
    assert_eq!(text(&printed.stdout), "kept\nkept\ndropped\ndropped\nkept too\nkept too\n");
    let printed = consume(
        &broker,
        "--topic t --from-beginning --isolation-level read_committed --max-messages 4",
    );
    assert_eq!(text(&printed.stdout), "kept\nkept\nkept too\nkept too\n");
}

#[test]
fn a_consumer_outlives_its_broker() {
    let mut broker = Broker::start();
    create_topic(broker.port(), "t", 1);
    send(broker.port(), "t", 1, 0..5);
    let consumer = Running::start(&broker, "--topic t --group g --from-beginning --max-messages 8");
    until("a member", TIMEOUT, || (described(broker.port(), "g").0 == "Stable").then_some(()));
    broker.kill9();
    broker.restart();
    send(broker.port(), "t", 1, 5..8);
    let output = consumer.child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let printed = consumer.printed.join().unwrap();
    // What was not committed may come twice; nothing is missing.
    let numbers: BTreeSet<&str> = printed.lines().collect();
    assert!(numbers.contains("0") && numbers.len() >= 5, "{printed}");
}

#[test]
fn what_does_not_go_together_ends_with_1() {
    let broker = Broker::start();
    for (name, arguments, expected) in [
        ("kafka-console-producer", "--sync", "Missing required argument \"[topic]\"\n"),
        (
            "kafka-console-consumer",
            "--topic t --include t",
            "Exactly one of the following arguments is required: [topic], [include]\n",
        ),
        (
            "kafka-console-consumer",
            "--topic t --offset 3",
            "The partition is required when offset is specified.\n",
        ),
        (
            "kafka-console-consumer",
            "--topic t --partition 0 --group g",
            "Options group and partition cannot be specified together.\n",
        ),
        (
            "kafka-console-consumer",
            "--topic t --command-property group.protocol=consumer",
            "group.protocol=consumer is not supported by this tool, only classic is\n",
        ),
    ] {
        let output = tool(&broker, name, arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments}");
        assert_eq!(text(&output.stderr), expected);
    }
}
