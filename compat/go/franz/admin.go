package franz

import (
	"context"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/compat/scenario"
)

type admin struct{ client *kadm.Client }

// background: kgo itself gives up on a broker that does not answer.
var background = context.Background()

func (a admin) Close() { a.client.Close() }

func (a admin) CreateTopic(name string, partitions int32, replicationFactor int16, configs map[string]string) error {
	values := make(map[string]*string)
	for key, value := range configs {
		values[key] = &value
	}
	_, err := a.client.CreateTopic(background, partitions, replicationFactor, values, name)
	return err
}

func (a admin) DeleteTopic(name string) error {
	_, err := a.client.DeleteTopic(background, name)
	return err
}

func (a admin) CreatePartitions(name string, total int32) error {
	answer, err := a.client.UpdatePartitions(background, int(total), name)
	if err != nil {
		return err
	}
	return answer.Error()
}

func (a admin) Topics() ([]string, error) {
	topics, err := a.client.ListTopics(background)
	return topics.Names(), err
}

func (a admin) DescribeTopic(name string) (scenario.Topic, error) {
	topics, err := a.client.ListTopics(background, name)
	if err != nil {
		return scenario.Topic{}, err
	}
	detail, ok := topics[name]
	if !ok {
		return scenario.Topic{}, unexpected(name)
	}
	var topic scenario.Topic
	for _, partition := range detail.Partitions.Sorted() {
		if partition.Err != nil {
			return topic, partition.Err
		}
		topic.Leaders = append(topic.Leaders, partition.Leader)
		topic.Replicas = append(topic.Replicas, partition.Replicas)
	}
	return topic, detail.Err
}

func (a admin) TopicConfig(name, key string) (scenario.Config, error) {
	answer, err := a.client.DescribeTopicConfigs(background, name)
	if err != nil {
		return scenario.Config{}, err
	}
	resource, err := answer.On(name, nil)
	if err != nil {
		return scenario.Config{}, err
	}
	if resource.Err != nil {
		return scenario.Config{}, resource.Err
	}
	i := slices.IndexFunc(resource.Configs, func(config kadm.Config) bool { return config.Key == key })
	if i < 0 {
		return scenario.Config{}, unexpected(key)
	}
	config := resource.Configs[i]
	return scenario.Config{
		Value:   config.MaybeValue(),
		Default: config.Source == kmsg.ConfigSourceDefaultConfig,
	}, nil
}

func (a admin) AlterTopicConfig(name, key string, value *string) error {
	change := kadm.AlterConfig{Op: kadm.SetConfig, Name: key, Value: value}
	if value == nil {
		change.Op = kadm.DeleteConfig
	}
	answer, err := a.client.AlterTopicConfigs(background, []kadm.AlterConfig{change}, name)
	if err != nil {
		return err
	}
	resource, err := answer.On(name, nil)
	if err != nil {
		return err
	}
	return resource.Err
}

func (a admin) Cluster() (scenario.Cluster, error) {
	metadata, err := a.client.BrokerMetadata(background)
	return scenario.Cluster{Controller: metadata.Controller, Brokers: metadata.Brokers.NodeIDs()}, err
}

func (a admin) list(topic string, at int64) (kadm.ListedOffsets, error) {
	switch at {
	case scenario.Earliest:
		return a.client.ListStartOffsets(background, topic)
	case scenario.Latest:
		return a.client.ListEndOffsets(background, topic)
	default:
		return a.client.ListOffsetsAfterMilli(background, at, topic)
	}
}

func (a admin) Offsets(topic string, partitions int32, at int64) ([]int64, error) {
	listed, err := a.list(topic, at)
	if err != nil {
		return nil, err
	}
	offsets := make([]int64, partitions)
	for p := range partitions {
		offset, ok := listed.Lookup(topic, p)
		if !ok {
			return nil, unexpected(topic)
		}
		if offset.Err != nil {
			return nil, offset.Err
		}
		offsets[p] = offset.Offset
		// Where no record is that late, kadm puts the end offset, without a timestamp.
		if at >= 0 && offset.Timestamp < 0 {
			offsets[p] = -1
		}
	}
	return offsets, nil
}

func (a admin) DeleteRecords(topic string, partition int32, before int64) error {
	var offsets kadm.Offsets
	offsets.AddOffset(topic, partition, before, -1)
	answer, err := a.client.DeleteRecords(background, offsets)
	if err != nil {
		return err
	}
	return answer.Error()
}

func (a admin) Commit(group, topic string, partition int32, committed scenario.Committed) error {
	var offsets kadm.Offsets
	offsets.Add(kadm.Offset{
		Topic:       topic,
		Partition:   partition,
		At:          committed.Offset,
		LeaderEpoch: -1,
		Metadata:    committed.Metadata,
	})
	return a.client.CommitAllOffsets(background, group, offsets)
}

func (a admin) Committed(group, topic string, partition int32) (scenario.Committed, error) {
	answer, err := a.client.FetchOffsetsForTopics(background, group, topic)
	if err != nil {
		return scenario.Committed{}, err
	}
	offset, ok := answer.Lookup(topic, partition)
	if !ok {
		return scenario.Committed{}, unexpected("the partition")
	}
	return scenario.Committed{Offset: offset.At, Metadata: offset.Metadata}, offset.Err
}
