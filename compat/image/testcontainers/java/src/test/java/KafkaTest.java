import static org.junit.jupiter.api.Assertions.assertEquals;

import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.junit.jupiter.api.Test;
import org.testcontainers.containers.Network;
import org.testcontainers.kafka.ConfluentKafkaContainer;
import org.testcontainers.kafka.KafkaContainer;
import org.testcontainers.utility.DockerImageName;

/** Every container of the stock Kafka module, with Ottla's image. */
class KafkaTest {
    /** The only change in a test that was made for apache/kafka or cp-kafka. */
    private static final String IMAGE = "ottla:latest";

    @Test
    void kafkaContainer() throws Exception {
        DockerImageName image = DockerImageName.parse(IMAGE).asCompatibleSubstituteFor("apache/kafka");
        try (KafkaContainer kafka = new KafkaContainer(image)) {
            kafka.start();
            produceAndConsume(kafka.getBootstrapServers());
        }
    }

    @Test
    void confluentKafkaContainer() throws Exception {
        DockerImageName image = DockerImageName.parse(IMAGE).asCompatibleSubstituteFor("confluentinc/cp-kafka");
        try (ConfluentKafkaContainer kafka = new ConfluentKafkaContainer(image)) {
            kafka.start();
            produceAndConsume(kafka.getBootstrapServers());
        }
    }

    /** A listener for other containers, named TC-0, beside the one for this program. */
    @Test
    void listenerForOtherContainers() throws Exception {
        DockerImageName image = DockerImageName.parse(IMAGE).asCompatibleSubstituteFor("apache/kafka");
        try (Network network = Network.newNetwork();
                KafkaContainer kafka = new KafkaContainer(image).withNetwork(network).withListener("kafka:19092")) {
            kafka.start();
            produceAndConsume(kafka.getBootstrapServers());
            assertEquals(0, kafka.execInContainer("nc", "-z", "kafka", "19092").getExitCode());
        }
    }

    /** Where the image has the name that the module asks for, which `compat/image/engine` gives it. */
    @Test
    void names() throws Exception {
        for (String image : List.of("apache/kafka:4.3.0", "apache/kafka-native:4.3.0")) {
            try (KafkaContainer kafka = new KafkaContainer(image)) {
                kafka.start();
                produceAndConsume(kafka.getBootstrapServers());
            }
        }
        try (ConfluentKafkaContainer kafka = new ConfluentKafkaContainer("confluentinc/cp-kafka:8.1.0")) {
            kafka.start();
            produceAndConsume(kafka.getBootstrapServers());
        }
    }

    /** The older class of the module, which starts ZooKeeper unless it is told not to. */
    @Test
    @SuppressWarnings("deprecation")
    void legacyKafkaContainer() throws Exception {
        DockerImageName image = DockerImageName.parse("confluentinc/cp-kafka:7.6.0");
        try (var kafka = new org.testcontainers.containers.KafkaContainer(image).withKraft()) {
            kafka.start();
            produceAndConsume(kafka.getBootstrapServers());
        }
    }

    private static void produceAndConsume(String bootstrapServers) throws Exception {
        Map<String, Object> settings = Map.of(
                "bootstrap.servers", bootstrapServers, "group.id", "test", "auto.offset.reset", "earliest");
        try (var producer = new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer());
                var consumer = new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer())) {
            producer.send(new ProducerRecord<>("greetings", "hello")).get();
            consumer.subscribe(List.of("greetings"));
            ConsumerRecords<String, String> records = ConsumerRecords.empty();
            for (int tries = 0; records.isEmpty() && tries < 30; tries++) {
                records = consumer.poll(Duration.ofSeconds(1));
            }
            assertEquals(1, records.count());
            assertEquals("hello", records.iterator().next().value());
        }
    }
}
