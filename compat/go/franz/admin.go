package franz

import (
	"context"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/compat/scenario"
)

type admin struct{ client *kadm.Client }

func (a admin) Close() { a.client.Close() }

func ask() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), patience)
}

func (a admin) CreateTopic(name string, partitions int32, replicationFactor int16, configs map[string]string) error {
	ctx, cancel := ask()
	defer cancel()
	values := make(map[string]*string)
	for key, value := range configs {
		values[key] = &value
	}
	_, err := a.client.CreateTopic(ctx, partitions, replicationFactor, values, name)
	return err
}

func (a admin) DeleteTopic(name string) error {
	ctx, cancel := ask()
	defer cancel()
	_, err := a.client.DeleteTopic(ctx, name)
	return err
}

func (a admin) CreatePartitions(name string, total int32) error {
	ctx, cancel := ask()
	defer cancel()
	answer, err := a.client.UpdatePartitions(ctx, int(total), name)
	if err != nil {
		return err
	}
	return answer.Error()
}

func (a admin) Topics() ([]string, error) {
	ctx, cancel := ask()
	defer cancel()
	topics, err := a.client.ListTopics(ctx)
	return topics.Names(), err
}

func (a admin) DescribeTopic(name string) (scenario.Topic, error) {
	ctx, cancel := ask()
	defer cancel()
	topics, err := a.client.ListTopics(ctx, name)
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
	ctx, cancel := ask()
	defer cancel()
	answer, err := a.client.DescribeTopicConfigs(ctx, name)
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
	ctx, cancel := ask()
	defer cancel()
	change := kadm.AlterConfig{Op: kadm.SetConfig, Name: key, Value: value}
	if value == nil {
		change.Op = kadm.DeleteConfig
	}
	answer, err := a.client.AlterTopicConfigs(ctx, []kadm.AlterConfig{change}, name)
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
	ctx, cancel := ask()
	defer cancel()
	metadata, err := a.client.BrokerMetadata(ctx)
	return scenario.Cluster{Controller: metadata.Controller, Brokers: metadata.Brokers.NodeIDs()}, err
}

func (a admin) list(ctx context.Context, topic string, at int64) (kadm.ListedOffsets, error) {
	switch at {
	case scenario.Earliest:
		return a.client.ListStartOffsets(ctx, topic)
	case scenario.Latest:
		return a.client.ListEndOffsets(ctx, topic)
	default:
		return a.client.ListOffsetsAfterMilli(ctx, at, topic)
	}
}

func (a admin) Offsets(topic string, partitions int32, at int64) ([]int64, error) {
	ctx, cancel := ask()
	defer cancel()
	listed, err := a.list(ctx, topic, at)
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
	ctx, cancel := ask()
	defer cancel()
	var offsets kadm.Offsets
	offsets.AddOffset(topic, partition, before, -1)
	answer, err := a.client.DeleteRecords(ctx, offsets)
	if err != nil {
		return err
	}
	return answer.Error()
}

func (a admin) Commit(group, topic string, partition int32, committed scenario.Committed) error {
	ctx, cancel := ask()
	defer cancel()
	var offsets kadm.Offsets
	offsets.Add(kadm.Offset{
		Topic:       topic,
		Partition:   partition,
		At:          committed.Offset,
		LeaderEpoch: -1,
		Metadata:    committed.Metadata,
	})
	return a.client.CommitAllOffsets(ctx, group, offsets)
}

func (a admin) Committed(group, topic string, partition int32) (scenario.Committed, error) {
	ctx, cancel := ask()
	defer cancel()
	answer, err := a.client.FetchOffsetsForTopics(ctx, group, topic)
	if err != nil {
		return scenario.Committed{}, err
	}
	offset, ok := answer.Lookup(topic, partition)
	if !ok {
		return scenario.Committed{}, unexpected("the partition")
	}
	return scenario.Committed{Offset: offset.At, Metadata: offset.Metadata}, offset.Err
}
