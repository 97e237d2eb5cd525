package scenario

import (
	"context"
	"time"
)

// Offsets with a meaning, as ListOffsets has them.
const (
	Latest   int64 = -1
	Earliest int64 = -2
)

// Codes of Apache Kafka that scenarios expect.
const (
	UnknownTopicOrPartition   int16 = 3
	MessageTooLarge           int16 = 10
	UnknownMemberID           int16 = 25
	TopicAlreadyExists        int16 = 36
	InvalidReplicationFactor  int16 = 38
	InvalidProducerEpoch      int16 = 47
	InvalidTxnState           int16 = 48
	InvalidTransactionTimeout int16 = 50
	ProducerFenced            int16 = 90
)

// Client is one client library, bound to a broker.
type Client interface {
	Admin() (Admin, error)
	Producer(ProducerConfig) (Producer, error)
	// Reader consumes partitions without a group, from the offset given for each.
	Reader(topic string, starts map[int32]int64, config ReaderConfig) (Reader, error)
	// Member joins a group and calls events until it is closed.
	Member(MemberConfig, Events) (Member, error)
	// Transactional makes a producer with this id; a timeout of 0 leaves the library's default.
	Transactional(id string, timeout time.Duration) (Transactional, error)
	Transformer(TransformerConfig) (Transformer, error)
	// Code is the broker's error code in an error of this library; ok is false when a broker did not send it.
	Code(error) (code int16, ok bool)
}

type Topic struct {
	Leaders  []int32
	Replicas [][]int32
}

type Config struct {
	Value   string
	Default bool
}

type Cluster struct {
	Controller int32
	Brokers    []int32
}

type Committed struct {
	Offset   int64
	Metadata string
}

type Admin interface {
	CreateTopic(name string, partitions int32, replicationFactor int16, configs map[string]string) error
	DeleteTopic(name string) error
	CreatePartitions(name string, total int32) error
	Topics() ([]string, error)
	DescribeTopic(name string) (Topic, error)
	TopicConfig(name, key string) (Config, error)
	// AlterTopicConfig sets the key, or resets it to its default for a nil value.
	AlterTopicConfig(name, key string, value *string) error
	Cluster() (Cluster, error)
	// Offsets of all partitions at a time, or at Earliest or Latest; -1 where no record is that late.
	Offsets(topic string, partitions int32, at int64) ([]int64, error)
	DeleteRecords(topic string, partition int32, before int64) error
	// Commit commits without being a member.
	Commit(group, topic string, partition int32, committed Committed) error
	// Committed reads the offset committed for a partition; -1 if there is none.
	Committed(group, topic string, partition int32) (Committed, error)
	// StableEnd is where partition 0 ends for those who read what is committed.
	StableEnd(topic string) (int64, error)
	Close()
}

// TransactionsAdmin is what an Admin may be as well.
type TransactionsAdmin interface {
	DescribeTransaction(id string) (Transaction, error)
	// ListTransactions gives the id and the state of each, with a space in between.
	ListTransactions(ListFilter) ([]string, error)
	DescribeProducer(topic string, partition int32, id int64) (ProducerState, error)
	// AbortHanging writes the marker of an aborted transaction without its coordinator.
	AbortHanging(topic string, partition int32, transaction Transaction) error
}

type Transaction struct {
	Coordinator int32
	State       string
	ProducerID  int64
	Epoch       int16
	TimeoutMs   int32
	StartMs     int64
	Partitions  map[string][]int32
}

// ListFilter without a condition lets all transactions pass.
type ListFilter struct {
	States      []string
	ProducerIDs []int64
	Pattern     string
}

type ProducerState struct {
	Epoch        int16
	LastSequence int32
	OpenSince    int64 // -1 without an open transaction
}

type ProducerConfig struct {
	Acks            int16 // -1 is all
	Codec           string
	Idempotent      bool
	MaxMessageBytes int // 0 leaves the library's default
}

type Producer interface {
	// Produce sends the records, waits for all of them and sets the offset of each acknowledged one.
	Produce(topic string, records []*Record) error
	Close()
}

// Transactional is a producer of transactions.
type Transactional interface {
	Producer
	Begin() error
	End(commit bool) error
}

type TransformerConfig struct {
	Group    string
	Topic    string
	ID       string // transactional
	Protocol Protocol
}

// Transformer is a member of a group and a producer of transactions. One that commits also commits the offsets of what
// was polled since the last one.
type Transformer interface {
	Transactional
	// Poll waits for records, and gives at most so many.
	Poll(ctx context.Context, count int) ([]*Record, error)
}

// Impostor is what a Transformer may be as well.
type Impostor interface {
	// CommitAs ends a transaction with offsets that another member commits.
	CommitAs(Transformer) error
}

type ReaderConfig struct {
	MaxWait   time.Duration
	Committed bool // isolation.level=read_committed
}

type Reader interface {
	// Poll waits for at least one record.
	Poll(context.Context) ([]*Record, error)
	Seek(partition int32, offset int64) error
	Close()
}

type MemberConfig struct {
	Name       string
	Group      string
	Topic      string
	InstanceID string // static membership unless empty
	Pattern    string // subscribes to the topics that match this instead
	Protocol   Protocol
	Assignor   Assignor
	AutoCommit bool
	FromLatest bool // auto.offset.reset=latest, otherwise earliest
}

// Protocol of a group: with Consumer (KIP-848) the broker assigns.
type Protocol int

const (
	Classic Protocol = iota
	Consumer
)

// Lacks is the error of a library that cannot do what a scenario asks of it, and says what that is.
type Lacks string

func (l Lacks) Error() string { return string(l) }

type Assignor int

const (
	RoundRobin Assignor = iota
	CooperativeSticky
)

const (
	sessionTimeout     = 30 * time.Second
	heartbeatInterval  = 500 * time.Millisecond
	autoCommitInterval = 500 * time.Millisecond
)

func (MemberConfig) SessionTimeout() time.Duration     { return sessionTimeout }
func (MemberConfig) HeartbeatInterval() time.Duration  { return heartbeatInterval }
func (MemberConfig) AutoCommitInterval() time.Duration { return autoCommitInterval }

// Events of a member. A partition is revoked only after Received has returned for all its records.
type Events interface {
	Assigned(member string, partitions []int32)
	Revoked(member string, partitions []int32)
	Received(member Member, record *Record)
	Failed(member string, err error)
}

type Member interface {
	Name() string
	// Commit returns when the broker has taken the offset.
	Commit(partition int32, committed Committed) error
	// CommitAsync returns at once.
	CommitAsync(partition int32, committed Committed) error
	Close() error
}
