// A test that starts Ottla's image with the stock Kafka module of testcontainers.
const assert = require("node:assert");
const { test } = require("node:test");
const { KafkaContainer } = require("@testcontainers/kafka");
const { Kafka, logLevel } = require("kafkajs");

// The module accepts any name; its tag must be a version of cp-kafka, from 8 on with KRaft.
const IMAGE = "confluentinc/cp-kafka:8.1.0";

test("what is produced is consumed", { timeout: 60_000 }, async () => {
  const container = await new KafkaContainer(IMAGE).start();
  const brokers = [`${container.getHost()}:${container.getMappedPort(9093)}`];
  const kafka = new Kafka({ brokers, logLevel: logLevel.ERROR });

  const producer = kafka.producer();
  await producer.connect();
  await producer.send({ topic: "greetings", messages: [{ value: "hello" }] });
  await producer.disconnect();

  const consumer = kafka.consumer({ groupId: "test" });
  await consumer.connect();
  await consumer.subscribe({ topic: "greetings", fromBeginning: true });
  const consumed = await new Promise((resolve, reject) => {
    consumer.run({ eachMessage: async ({ message }) => resolve(message.value.toString()) }).catch(reject);
  });
  await consumer.disconnect();
  assert.strictEqual(consumed, "hello");
  await container.stop();
});
