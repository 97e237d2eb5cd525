package scenario

import (
	"fmt"
	"slices"
)

const retentionDefault = "604800000"

func admin(r *run) {
	name := r.name("admin")
	create := func(replicationFactor int16, name string) error {
		return r.admin.CreateTopic(name, 3, replicationFactor, map[string]string{"retention.ms": "123456"})
	}
	check(create(1, name), "creating the topic")
	r.refused(create(1, name), "creating it again", TopicAlreadyExists)
	r.refused(create(3, name+"-3"), "creating one of 3 replicas", InvalidReplicationFactor)

	cluster := must(r.admin.Cluster())("describing the cluster")
	if !slices.Contains(cluster.Brokers, cluster.Controller) {
		fatalf("the controller %d is not one of the brokers %v", cluster.Controller, cluster.Brokers)
	}
	r.eventually("the topic is listed", func() error { return r.listed(name, true) })
	r.eventually("3 partitions", func() error { return r.described(name, 3, cluster) })
	r.configures(name)

	check(r.admin.CreatePartitions(name, 5), "growing to 5 partitions")
	r.eventually("5 partitions", func() error { return r.described(name, 5, cluster) })

	check(r.admin.DeleteTopic(name), "deleting the topic")
	r.eventually("the topic is not listed", func() error { return r.listed(name, false) })
	r.eventually("the topic is unknown", func() error {
		_, err := r.admin.DescribeTopic(name)
		if code, ok := r.client.Code(err); !ok || code != UnknownTopicOrPartition {
			return fmt.Errorf("describing it: %v", err)
		}
		return nil
	})
	r.refused(r.admin.DeleteTopic(name), "deleting it again", UnknownTopicOrPartition)
}

func (r *run) listed(name string, want bool) error {
	topics := must(r.admin.Topics())("listing topics")
	if got := slices.Contains(topics, name); got != want {
		return fmt.Errorf("listed: %v", got)
	}
	return nil
}

func (r *run) described(name string, partitions int, cluster Cluster) error {
	topic, err := r.admin.DescribeTopic(name)
	if err != nil {
		return err
	}
	if len(topic.Leaders) != partitions {
		return fmt.Errorf("%d partitions", len(topic.Leaders))
	}
	for p, leader := range topic.Leaders {
		if !slices.Contains(cluster.Brokers, leader) || !slices.Equal(topic.Replicas[p], []int32{leader}) {
			return fmt.Errorf("partition %d: leader %d, replicas %v", p, leader, topic.Replicas[p])
		}
	}
	return nil
}

// configures reads, changes and resets a configuration; Apache Kafka shows a change a moment later.
func (r *run) configures(name string) {
	becomes := func(want Config) {
		r.eventually("retention.ms "+want.Value, func() error {
			got, err := r.admin.TopicConfig(name, "retention.ms")
			if err == nil && got != want {
				err = fmt.Errorf("%+v", got)
			}
			return err
		})
	}
	becomes(Config{Value: "123456"})
	changed := "654321"
	check(r.admin.AlterTopicConfig(name, "retention.ms", &changed), "changing retention.ms")
	becomes(Config{Value: changed})
	check(r.admin.AlterTopicConfig(name, "retention.ms", nil), "resetting retention.ms")
	becomes(Config{Value: retentionDefault, Default: true})
}
