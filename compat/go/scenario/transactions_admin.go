package scenario

import (
	"fmt"
	"slices"
	"time"
)

const listedTimeout = time.Minute

func transactionsAdmin(r *run) {
	admin, ok := r.admin.(TransactionsAdmin)
	if !ok {
		panic(failed{Lacks("the client's administration knows no transactions")})
	}
	topic := r.topic("transactions-admin", 2)
	all := records(20, 2, 100)
	start := time.Now()
	producer := r.transactional("hanging", listedTimeout)
	check(producer.Begin(), "beginning a transaction")
	check(producer.Produce(topic, all), "producing in a transaction")
	id := r.name("hanging")
	described := must(admin.DescribeTransaction(id))("describing the transaction")
	coordinator := must(r.admin.Cluster())("the cluster").Controller
	want := Transaction{
		Coordinator: coordinator,
		State:       "Ongoing",
		ProducerID:  described.ProducerID,
		Epoch:       described.Epoch,
		TimeoutMs:   int32(listedTimeout.Milliseconds()),
		StartMs:     described.StartMs,
	}
	equalAll(described.Partitions[topic], []int32{0, 1}, "its partitions")
	described.Partitions = nil
	if fmt.Sprint(described) != fmt.Sprint(want) {
		fatalf("described as %+v, not %+v", described, want)
	}
	if described.StartMs < start.UnixMilli() || described.StartMs > time.Now().UnixMilli() {
		fatalf("it began at %d", described.StartMs)
	}
	lists(admin, id, described.ProducerID)
	r.describesProducers(admin, topic, described)

	for p := range int32(2) {
		check(admin.AbortHanging(topic, p, described), fmt.Sprintf("aborting it in %d", p))
		open := must(admin.DescribeProducer(topic, p, described.ProducerID))("describing the producer").OpenSince
		equal(open, -1, "the beginning of its transaction")
	}
	equal(must(r.admin.StableEnd(topic))("the last stable offset"), 11, "the last stable offset")
	equal(must(admin.DescribeTransaction(id))("describing it again").State, "Ongoing", "what the coordinator knows")
}

// lists finds the transaction with every filter that it passes, and not with others.
func lists(admin TransactionsAdmin, id string, producer int64) {
	for _, ask := range []struct {
		filter ListFilter
		found  bool
	}{
		{ListFilter{}, true},
		{ListFilter{States: []string{"Ongoing", "Empty"}}, true},
		{ListFilter{States: []string{"CompleteCommit"}}, false},
		{ListFilter{ProducerIDs: []int64{producer}}, true},
		{ListFilter{ProducerIDs: []int64{producer + 1_000_000}}, false},
		{ListFilter{Pattern: id[:len(id)-3] + ".*"}, true},
		{ListFilter{Pattern: "unlike" + id}, false},
	} {
		listed := must(admin.ListTransactions(ask.filter))("listing transactions")
		equal(slices.Contains(listed, id+" Ongoing"), ask.found, fmt.Sprintf("listed with %+v", ask.filter))
	}
}

func (r *run) describesProducers(admin TransactionsAdmin, topic string, transaction Transaction) {
	for p := range int32(2) {
		got := must(admin.DescribeProducer(topic, p, transaction.ProducerID))("describing the producer")
		equal(got, ProducerState{Epoch: transaction.Epoch, LastSequence: 9, OpenSince: 0}, "the producer")
	}
	equal(must(r.admin.StableEnd(topic))("the last stable offset"), 0, "the last stable offset")
}
