//! Tests that start Ottla's image with the stock Kafka module of testcontainers.

use std::error::Error;
use std::time::Duration;

use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{ClientConfig, Message};
use testcontainers_modules::kafka::apache::{KAFKA_PORT, Kafka};
use testcontainers_modules::testcontainers::runners::AsyncRunner;
use testcontainers_modules::testcontainers::{ContainerRequest, ImageExt};

/// The only change in a test that was made for apache/kafka: the name and the tag of the image.
const IMAGE: (&str, &str) = ("ottla", "latest");

#[tokio::test]
async fn produce_and_consume() -> Result<(), Box<dyn Error>> {
    serves(Kafka::default().with_name(IMAGE.0).with_tag(IMAGE.1)).await
}

/// With the name that the module has by itself, which `compat/image/engine` gives the image.
#[tokio::test]
async fn the_name_of_the_native_image() -> Result<(), Box<dyn Error>> {
    serves(Kafka::default().into()).await
}

/// Likewise.
#[tokio::test]
async fn the_name_of_the_jvm_image() -> Result<(), Box<dyn Error>> {
    serves(Kafka::default().with_jvm_image().into()).await
}

async fn serves(kafka: ContainerRequest<Kafka>) -> Result<(), Box<dyn Error>> {
    let container = kafka.start().await?;
    let servers = format!("127.0.0.1:{}", container.get_host_port_ipv4(KAFKA_PORT).await?);
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &servers);

    let producer: FutureProducer = config.create()?;
    let record = FutureRecord::<(), _>::to("greetings").payload("hello");
    producer.send(record, Duration::from_secs(20)).await.map_err(|(error, _)| error)?;

    config.set("group.id", "test").set("auto.offset.reset", "earliest");
    let consumer: StreamConsumer = config.create()?;
    consumer.subscribe(&["greetings"])?;
    let record = tokio::time::timeout(Duration::from_secs(20), consumer.recv()).await??;
    assert_eq!(record.payload(), Some(&b"hello"[..]));
    Ok(())
}
