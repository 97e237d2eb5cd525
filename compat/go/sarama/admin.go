package sarama

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/IBM/sarama"

	"ottla/compat/scenario"
)

type admin struct{ client sarama.ClusterAdmin }

func (a admin) Close() { _ = a.client.Close() }

// refusal is nil for code 0, which sarama gives as an error of its own.
func refusal(code sarama.KError) error {
	if code == sarama.ErrNoError {
		return nil
	}
	return code
}

func (a admin) CreateTopic(name string, partitions int32, replicationFactor int16, configs map[string]string) error {
	values := make(map[string]*string)
	for key, value := range configs {
		values[key] = &value
	}
	detail := sarama.TopicDetail{NumPartitions: partitions, ReplicationFactor: replicationFactor, ConfigEntries: values}
	return a.client.CreateTopic(name, &detail, false)
}

func (a admin) DeleteTopic(name string) error { return a.client.DeleteTopic(name) }

func (a admin) CreatePartitions(name string, total int32) error {
	return a.client.CreatePartitions(name, total, nil, false)
}

func (a admin) Topics() ([]string, error) {
	topics, err := a.client.ListTopics()
	return slices.Collect(maps.Keys(topics)), err
}

func (a admin) DescribeTopic(name string) (scenario.Topic, error) {
	var topic scenario.Topic
	answer, err := a.client.DescribeTopics([]string{name})
	if err != nil {
		return topic, err
	}
	if len(answer) != 1 || answer[0].Name != name {
		return topic, fmt.Errorf("described %v, not %s", answer, name)
	}
	if err := refusal(answer[0].Err); err != nil {
		return topic, err
	}
	partitions := answer[0].Partitions
	slices.SortFunc(partitions, func(a, b *sarama.PartitionMetadata) int { return int(a.ID - b.ID) })
	for _, partition := range partitions {
		if err := refusal(partition.Err); err != nil {
			return topic, err
		}
		topic.Leaders = append(topic.Leaders, partition.Leader)
		topic.Replicas = append(topic.Replicas, partition.Replicas)
	}
	return topic, nil
}

func (a admin) TopicConfig(name, key string) (scenario.Config, error) {
	resource := sarama.ConfigResource{Type: sarama.TopicResource, Name: name, ConfigNames: []string{key}}
	answer, err := a.client.DescribeConfigs([]*sarama.ConfigResource{&resource}, sarama.DescribeConfigsOptions{})
	if err != nil {
		return scenario.Config{}, err
	}
	if len(answer) != 1 || len(answer[0].Configs) != 1 || answer[0].Configs[0].Name != key {
		return scenario.Config{}, fmt.Errorf("described %v, not %s", answer, key)
	}
	config := answer[0].Configs[0]
	return scenario.Config{Value: config.Value, Default: config.Default}, refusal(answer[0].ErrorCode)
}

func (a admin) AlterTopicConfig(name, key string, value *string) error {
	change := sarama.IncrementalAlterConfigsEntry{Operation: sarama.IncrementalAlterConfigsOperationSet, Value: value}
	if value == nil {
		change.Operation = sarama.IncrementalAlterConfigsOperationDelete
	}
	changes := map[string]sarama.IncrementalAlterConfigsEntry{key: change}
	return a.client.IncrementalAlterConfig(sarama.TopicResource, name, changes, false)
}

func (a admin) Cluster() (scenario.Cluster, error) {
	brokers, controller, err := a.client.DescribeCluster()
	cluster := scenario.Cluster{Controller: controller}
	for _, broker := range brokers {
		cluster.Brokers = append(cluster.Brokers, broker.ID())
	}
	return cluster, err
}

func (a admin) Offsets(topic string, partitions int32, at int64) ([]int64, error) {
	return a.offsets(topic, partitions, at, sarama.ReadUncommitted)
}

func (a admin) StableEnd(topic string) (int64, error) {
	offsets, err := a.offsets(topic, 1, scenario.Latest, sarama.ReadCommitted)
	if err != nil {
		return 0, err
	}
	return offsets[0], nil
}

func (a admin) offsets(topic string, partitions int32, at int64, isolation sarama.IsolationLevel) ([]int64, error) {
	asked := make(map[int32]int64)
	for p := range partitions {
		asked[p] = at
	}
	options := sarama.ListOffsetsOptions{IsolationLevel: isolation}
	answer, err := a.client.ListOffsets(map[string]map[int32]int64{topic: asked}, &options)
	if err != nil {
		return nil, err
	}
	offsets := make([]int64, partitions)
	for p := range partitions {
		result, ok := answer[topic][p]
		if !ok {
			return nil, fmt.Errorf("the answer lacks partition %d", p)
		}
		if result.Err != nil && !errors.Is(result.Err, sarama.ErrNoError) {
			return nil, result.Err
		}
		offsets[p] = result.Offset
	}
	return offsets, nil
}

func (a admin) DeleteRecords(topic string, partition int32, before int64) error {
	return a.client.DeleteRecords(topic, map[int32]int64{partition: before})
}

func (a admin) Commit(group, topic string, partition int32, committed scenario.Committed) error {
	offset := sarama.OffsetAndMetadata{Offset: committed.Offset, Metadata: committed.Metadata, LeaderEpoch: -1}
	offsets := map[string]map[int32]sarama.OffsetAndMetadata{topic: {partition: offset}}
	answer, err := a.client.AlterConsumerGroupOffsets(group, offsets, nil)
	if err != nil {
		return err
	}
	code, ok := answer.Errors[topic][partition]
	if !ok {
		return fmt.Errorf("the answer lacks partition %d", partition)
	}
	return refusal(code)
}

func (a admin) Committed(group, topic string, partition int32) (scenario.Committed, error) {
	answer, err := a.client.ListConsumerGroupOffsets(group, map[string][]int32{topic: {partition}})
	if err != nil {
		return scenario.Committed{}, err
	}
	block := answer.GetBlock(topic, partition)
	if block == nil {
		return scenario.Committed{}, fmt.Errorf("the answer lacks partition %d", partition)
	}
	return scenario.Committed{Offset: block.Offset, Metadata: block.Metadata}, refusal(block.Err)
}
