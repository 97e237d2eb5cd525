//! `kafka-console-producer` and `kafka-console-consumer`.

use crate::case::{Case, Same, case};

fn produce(name: &'static str, flags: &'static str, input: &'static str) -> Case {
    case("kafka-console-producer", name, flags).input(input)
}

/// Java's consumer has words on standard error before the number of records, ours only that number.
fn consume(name: &'static str, flags: &'static str) -> Case {
    case("kafka-console-consumer", name, flags).same(Same::ButWords)
}

pub(super) fn cases() -> Vec<Case> {
    [
        sending(),
        printing(),
        choosing(),
        deserializing(),
        standing(),
        wrong_producers(),
        wrong_consumers(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn sending() -> Vec<Case> {
    vec![
        case("kafka-topics", "a topic", "--create --topic console-1 --partitions 1"),
        produce("lines", "--topic console-1", "one\ntwo\n\nlast without end"),
        produce("nothing", "--topic console-1", ""),
        produce("with carriage returns", "--topic console-1", "a\r\nb\rc\n"),
        produce(
            "keys",
            "--topic console-1 --reader-property parse.key=true --reader-property key.separator=:",
            "k1:v1\nk2:v2:more\n:empty key\n",
        ),
        produce(
            "headers, keys and nulls",
            "--topic console-1 --reader-property parse.key=true --reader-property parse.headers=true \
             --reader-property null.marker=NULL",
            "h1:v1,h2:v2\tkey\tvalue\nNULL\tNULL\tNULL\nh:NULL\tk\tv\n",
        ),
        produce(
            "other separators",
            "--topic console-1 --reader-property parse.headers=true --reader-property headers.delimiter=@ \
             --reader-property headers.separator=; --reader-property headers.key.separator==",
            "a=1;b=2@value\n@no headers\n",
        ),
        produce(
            "errors ignored",
            "--topic console-1 --reader-property parse.key=true --reader-property \
             ignore.error=true",
            "no key\nk\tv\n",
        ),
        produce(
            "properties of the reader in a file",
            "--topic console-1 --reader-config {files}/r",
            "k=v\n",
        )
        .file("r", "parse.key=true\nkey.separator==\n"),
        produce("gzip by default", "--topic console-1 --compression-codec", "gzip\n"),
        produce("zstd", "--topic console-1 --compression-codec zstd", "zstd\n"),
        produce("lz4", "--topic console-1 --compression-codec=lz4", "lz4\n"),
        produce("snappy", "--topic console-1 --compression-codec snappy", "snappy\n"),
        produce("synchronously", "--topic console-1 --sync --timeout 1", "s1\ns2\n"),
        produce(
            "without acknowledgement",
            "--topic console-1 --request-required-acks 0",
            "acks 0\n",
        ),
        produce("of the leader", "--topic console-1 --request-required-acks 1", "acks 1\n"),
        produce(
            "with old options",
            "--topic console-1 --property parse.key=true --producer-property linger.ms=1 \
             --max-partition-memory-bytes 1000",
            "old\tvalue\n",
        ),
        produce("with old files", "--topic console-1 --producer.config {files}/p", "old file\n")
            .file("p", "linger.ms=1\n"),
        produce("to a topic that comes", "--topic console-new", "first\n"),
        case("kafka-topics", "it came", "--describe --topic console-new"),
        case("kafka-topics", "a topic of four", "--create --topic console-4 --partitions 4"),
        produce(
            "keys over partitions",
            "--topic console-4 --reader-property parse.key=true --reader-property key.separator==",
            "a=1\nb=2\nc=3\nd=4\ne=5\nf=6\ng=7\nh=8\nlonger key=9\ngröße=10\n",
        ),
    ]
}

fn printing() -> Vec<Case> {
    vec![
        consume("all", "--topic console-1 --from-beginning --timeout-ms 4000"),
        consume(
            "everything of each",
            "--topic console-1 --partition 0 --offset earliest --max-messages 17 --formatter-property \
             print.timestamp=true --formatter-property print.key=true --formatter-property print.offset=true \
             --formatter-property print.partition=true --formatter-property print.epoch=true \
             --formatter-property print.headers=true --formatter-property print.delivery=true",
        ),
        consume(
            "with other separators",
            "--topic console-1 --partition 0 --offset 9 --max-messages 4 --formatter-property print.key=true \
             --formatter-property print.headers=true --formatter-property key.separator=| --formatter-property \
             'line.separator=$' --formatter-property headers.separator=; --formatter-property null.literal=NIL",
        ),
        consume(
            "only keys",
            "--topic console-1 --partition 0 --offset 7 --max-messages 3 --property \
             print.value=false --property print.key=true",
        ),
        consume(
            "with a file",
            "--topic console-1 --partition 0 --offset 7 --max-messages 2 --formatter-config \
             {files}/f",
        )
        .file("f", "print.key=true\nprint.offset=true\n"),
        consume(
            "nothing",
            "--topic console-1 --partition 0 --offset 0 --max-messages 2 --formatter \
             org.apache.kafka.tools.consumer.NoOpMessageFormatter",
        ),
        consume(
            "logged",
            "--topic console-1 --partition 0 --offset 0 --max-messages 2 --formatter \
             org.apache.kafka.tools.consumer.LoggingMessageFormatter",
        ),
    ]
}

fn choosing() -> Vec<Case> {
    vec![
        consume("no messages", "--topic console-1 --max-messages 0"),
        consume(
            "only committed ones",
            "--topic console-1 --from-beginning --max-messages 5 --isolation-level \
             read_committed",
        ),
        consume(
            "keys of 0",
            "--topic console-4 --partition 0 --from-beginning --timeout-ms 2000 --property \
             print.key=true",
        ),
        consume(
            "keys of 1",
            "--topic console-4 --partition 1 --from-beginning --timeout-ms 2000 --property \
             print.key=true",
        ),
        consume(
            "keys of 3",
            "--topic console-4 --partition 3 --from-beginning --timeout-ms 2000 --property \
             print.key=true",
        ),
        consume(
            "one of four",
            "--topic console-4 --partition 2 --from-beginning --timeout-ms 2000",
        ),
        consume("from the end", "--topic console-1 --partition 0 --timeout-ms 1000"),
        consume(
            "from beyond the end",
            "--topic console-1 --partition 0 --offset 1000 --timeout-ms 1000",
        ),
        consume(
            "a partition that is not there",
            "--topic console-1 --partition 9 --timeout-ms 1000",
        ),
        consume("by pattern", "--include 'console-n.*' --from-beginning --max-messages 1"),
        consume(
            "by old options",
            "--topic console-1 --partition 0 --offset 1 --max-messages 1 --consumer-property \
             fetch.max.wait.ms=10",
        ),
        consume(
            "by old files",
            "--topic console-1 --partition 0 --offset 1 --max-messages 1 --consumer.config \
             {files}/c",
        )
        .file("c", "fetch.max.wait.ms=10\n"),
    ]
}

fn deserializing() -> Vec<Case> {
    vec![
        case("kafka-topics", "a topic of bytes", "--create --topic console-bytes --partitions 1"),
        produce("four and eight bytes", "--topic console-bytes", "abcd\nabcdefgh\n"),
        consume(
            "integers",
            "--topic console-bytes --partition 0 --offset 0 --max-messages 1 --value-deserializer \
             org.apache.kafka.common.serialization.IntegerDeserializer",
        ),
        consume(
            "longs",
            "--topic console-bytes --partition 0 --offset 1 --max-messages 1 --formatter-property \
             value.deserializer=org.apache.kafka.common.serialization.LongDeserializer",
        ),
        consume(
            "no integer",
            "--topic console-bytes --partition 0 --offset 0 --max-messages 2 --value-deserializer \
             org.apache.kafka.common.serialization.IntegerDeserializer",
        ),
        consume(
            "no integer, skipped",
            "--topic console-bytes --partition 0 --offset 0 --max-messages 2 --skip-message-on-error \
             --value-deserializer org.apache.kafka.common.serialization.IntegerDeserializer",
        ),
        consume(
            "strings",
            "--topic console-bytes --partition 0 --offset 0 --max-messages 2 --formatter-property print.key=true \
             --key-deserializer org.apache.kafka.common.serialization.StringDeserializer --value-deserializer \
             org.apache.kafka.common.serialization.StringDeserializer",
        ),
    ]
}

fn standing() -> Vec<Case> {
    let groups = |name, flags| case("kafka-consumer-groups", name, flags);
    vec![
        consume(
            "a group begins",
            "--topic console-1 --group console-g --from-beginning --max-messages 5",
        ),
        groups("it has committed", "--describe --group console-g"),
        consume("it goes on", "--topic console-1 --group console-g --max-messages 3"),
        groups("it has committed again", "--describe --group console-g --offsets --verbose"),
        consume(
            "to the end",
            "--topic console-1 --command-property group.id=console-g --timeout-ms 4000",
        ),
        groups("it is at the end", "--describe --group console-g"),
        consume(
            "without commits",
            "--topic console-1 --group console-none --from-beginning --max-messages 2 \
             --command-property enable.auto.commit=false",
        ),
        groups("it has not committed", "--describe --group console-none"),
        consume("a group of its own", "--topic console-1 --from-beginning --max-messages 2"),
        groups("it is empty", "--describe --group console-g --state"),
    ]
}

fn wrong_producers() -> Vec<Case> {
    vec![
        produce("no topic", "", "").same(Same::Everything),
        produce("no server", "--topic console-1", "").alone(),
        produce("no port", "--topic console-1 --bootstrap-server localhost", "").alone(),
        produce("nothing at all", "", "").alone().same(Same::ButWords),
        produce("both properties", "--topic console-1 --property a=b --reader-property c=d", ""),
        produce(
            "both kinds",
            "--topic console-1 --producer-property a=b --command-property c=d",
            "",
        ),
        produce("no such codec", "--topic console-1 --compression-codec rar", "a\n")
            .same(Same::ButWords),
        produce("no key", "--topic console-1 --reader-property parse.key=true", "k\tv\nplain\n")
            .same(Same::Everything),
        produce("no headers", "--topic console-1 --reader-property parse.headers=true", "plain\n"),
        produce("no pair", "--topic console-1 --reader-property parse.headers=true", "a\tv\n"),
        produce(
            "equal separators",
            "--topic console-1 --reader-property headers.separator=:",
            "a\n",
        ),
        produce("invalid topic at once", "--topic con/sole --sync", "a\n").same(Same::ButWords),
        produce("invalid acks", "--topic console-1 --request-required-acks 2", "a\n")
            .same(Same::ButWords),
        produce("unknown option", "--topic console-1 --no-such-option", "").same(Same::ButWords),
        consume(
            "what was sent before",
            "--topic console-1 --partition 0 --offset 27 --max-messages 1 --formatter-property \
             print.key=true",
        ),
    ]
}

fn wrong_consumers() -> Vec<Case> {
    let wrong = |name, flags| case("kafka-console-consumer", name, flags);
    vec![
        wrong("no topic", "--from-beginning"),
        wrong("two kinds of topics", "--topic console-1 --include console-1"),
        wrong("no server", "--topic console-1").alone(),
        wrong("partition without topic", "--include console-1 --partition 0"),
        wrong("offset without partition", "--topic console-1 --offset 3"),
        wrong("two beginnings", "--topic console-1 --partition 0 --offset 3 --from-beginning"),
        wrong("invalid offset", "--topic console-1 --partition 0 --offset soon"),
        wrong("negative offset", "--topic console-1 --partition 0 --offset -3"),
        wrong("group with partition", "--topic console-1 --partition 0 --group g"),
        wrong("groups", "--topic console-1 --group a --command-property group.id=b")
            .same(Same::ButWords),
        wrong(
            "contradictory beginnings",
            "--topic console-1 --from-beginning --command-property auto.offset.reset=latest",
        ),
        wrong(
            "both properties",
            "--topic console-1 --consumer-property a=b --command-property c=d",
        ),
        wrong("both files", "--topic console-1 --consumer.config a --command-config b"),
        wrong("both of the formatter", "--topic console-1 --property a=b --formatter-property c=d"),
        wrong("unknown option", "--topic console-1 --no-such-option").same(Same::ButWords),
        consume("invalid topic", "--topic con/sole --timeout-ms 3000"),
        consume(
            "no offset to begin with",
            "--topic console-1 --group console-unknown --command-property auto.offset.reset=none \
             --timeout-ms 3000",
        ),
        consume(
            "nobody listens",
            "--topic console-1 --timeout-ms 500 --bootstrap-server localhost:1",
        )
        .alone(),
    ]
}
