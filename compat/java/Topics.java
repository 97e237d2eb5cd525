import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.ConfigEntry.ConfigSource;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicCollection;
import org.apache.kafka.common.TopicPartitionInfo;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.InvalidReplicationFactorException;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.errors.UnknownTopicIdException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;

/** The life of a topic. */
final class Topics {
    private static final String RETENTION = "retention.ms";

    private final Admin admin;
    private final String topic;

    private Topics(Broker broker) {
        this.admin = broker.admin;
        this.topic = broker.name("topic");
    }

    static void admin(Broker broker) throws Exception {
        var topics = new Topics(broker);
        Node node = topics.describeCluster();
        Uuid id = topics.create(node);
        topics.refuse(broker.name("refused"));
        topics.configure();
        topics.grow(node);
        topics.delete(id);
    }

    private Node describeCluster() throws Exception {
        var cluster = admin.describeCluster();
        Collection<Node> nodes = cluster.nodes().get();
        Check.equal("nodes", 1, nodes.size());
        Node node = nodes.iterator().next();
        Check.equal("controller", node, cluster.controller().get());
        Check.that("the cluster has an id", !cluster.clusterId().get().isEmpty());
        return node;
    }

    private Uuid create(Node node) throws Exception {
        var created = admin.createTopics(List.of(new NewTopic(topic, 3, (short) 1).configs(Map.of(RETENTION, "123456"))));
        Check.equal("partitions created", 3, created.numPartitions(topic).get());
        Check.equal("replication factor", 1, created.replicationFactor(topic).get());
        Check.equal("retention created", "123456", created.config(topic).get().get(RETENTION).value());
        Uuid id = created.topicId(topic).get();
        Check.await("the topic is listed", () -> admin.listTopics().names().get().contains(topic));
        Check.equal("id listed", id, admin.listTopics().namesToListings().get().get(topic).topicId());
        TopicDescription description = describe();
        Check.equal("id", id, description.topicId());
        consistsOf(description, 3, node);
        TopicDescription byId = admin.describeTopics(TopicCollection.ofTopicIds(Set.of(id))).allTopicIds().get().get(id);
        Check.equal("name by id", topic, byId.name());
        consistsOf(byId, 3, node);
        return id;
    }

    private TopicDescription describe() throws Exception {
        return admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic);
    }

    private static void consistsOf(TopicDescription description, int partitions, Node node) {
        Check.equal("internal", false, description.isInternal());
        Check.equal("partitions", partitions, description.partitions().size());
        for (int i = 0; i < partitions; i++) {
            TopicPartitionInfo partition = description.partitions().get(i);
            Check.equal("partition", i, partition.partition());
            Check.equal("leader of " + i, node, partition.leader());
            Check.equal("replicas of " + i, List.of(node), partition.replicas());
            Check.equal("in-sync replicas of " + i, List.of(node), partition.isr());
        }
    }

    private void refuse(String other) {
        Check.fails("creating it again", TopicExistsException.class,
            () -> admin.createTopics(List.of(new NewTopic(topic, 3, (short) 1))).all().get());
        Check.fails("3 replicas on 1 broker", InvalidReplicationFactorException.class,
            () -> admin.createTopics(List.of(new NewTopic(other, 3, (short) 3))).all().get());
    }

    private void configure() throws Exception {
        isConfigured("123456", ConfigSource.DYNAMIC_TOPIC_CONFIG);
        alter(AlterConfigOp.OpType.SET, "654321");
        isConfigured("654321", ConfigSource.DYNAMIC_TOPIC_CONFIG);
        alter(AlterConfigOp.OpType.DELETE, null);
        isConfigured("604800000", ConfigSource.DEFAULT_CONFIG);
    }

    private void alter(AlterConfigOp.OpType type, String value) throws Exception {
        var change = new AlterConfigOp(new ConfigEntry(RETENTION, value), type);
        admin.incrementalAlterConfigs(Map.of(resource(), List.of(change))).all().get();
    }

    /** Awaited, as a change counts on Apache Kafka a little after its answer. */
    private void isConfigured(String value, ConfigSource source) throws Exception {
        Check.await(RETENTION + " is " + value + " of " + source, () -> {
            var entry = admin.describeConfigs(List.of(resource())).all().get().get(resource()).get(RETENTION);
            return entry.value().equals(value) && entry.source() == source;
        });
    }

    private ConfigResource resource() {
        return new ConfigResource(ConfigResource.Type.TOPIC, topic);
    }

    private void grow(Node node) throws Exception {
        admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(5))).all().get();
        Check.await("5 partitions", () -> describe().partitions().size() == 5);
        consistsOf(describe(), 5, node);
    }

    private void delete(Uuid id) throws Exception {
        admin.deleteTopics(List.of(topic)).all().get();
        Check.await("the topic is not listed", () -> !admin.listTopics().names().get().contains(topic));
        Check.fails("a deleted topic", UnknownTopicOrPartitionException.class, this::describe);
        Check.fails("a deleted topic by id", UnknownTopicIdException.class,
            () -> admin.describeTopics(TopicCollection.ofTopicIds(Set.of(id))).allTopicIds().get());
        Check.fails("deleting it again", UnknownTopicOrPartitionException.class,
            () -> admin.deleteTopics(List.of(topic)).all().get());
    }
}
