package main

import (
	"context"
	"fmt"
	"math"
	"math/rand"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// Histograms are merged with those of the other loads: microseconds, three digits, the same highest value.
	highestMicros = 60_000_000
	// What comes first at a rate is not counted.
	rateWarmUp = 500 * time.Millisecond
	tick       = time.Millisecond
	// Of a record of Partita beside its key and value; sizes are told with it, so that all systems get the same bytes.
	framingBytes = 12
	// Records are made once: what is sent must not cost more than sending.
	poolBytes  = 16 * 1024 * 1024
	answersMax = 30 * time.Second
)

// A slot holds one message that is on its way.
type slot struct {
	message nats.Msg
	// When it was due; zero = its latency does not count.
	due time.Time
}

// A load is one run: as many slots as messages may be in flight, and a publisher for each partition's leader.
type load struct {
	job
	subjects   []string
	publishers []jetstream.JetStream
	pool       [][]byte
	free       chan *slot
	// Written before the first message and never after: handlers read it without a lock.
	slots   map[*nats.Msg]*slot
	micros  chan int64
	failure atomic.Pointer[error]
}

func (servers cluster) produce(manager jetstream.JetStream, wanted job) (answer, error) {
	run := &load{job: wanted, pool: records(wanted.RecordBytes)}
	slotCount := max(1, wanted.InFlightBytes/wanted.RecordBytes)
	run.free = make(chan *slot, slotCount)
	run.slots = make(map[*nats.Msg]*slot, slotCount)
	for range slotCount {
		one := &slot{}
		run.slots[&one.message] = one
		run.free <- one
	}
	byServer, err := run.publishersOf(servers, slotCount)
	if err != nil {
		return answer{}, err
	}
	for partition := range wanted.PartitionCount {
		leader, err := leaderOf(manager, streamName(wanted.Topic, partition))
		if err != nil {
			return answer{}, err
		}
		publisher, isKnown := byServer[leader]
		if !isKnown {
			return answer{}, fmt.Errorf("no connection to %q, which leads partition %d", leader, partition)
		}
		run.subjects = append(run.subjects, subject(wanted.Topic, partition))
		run.publishers = append(run.publishers, publisher)
	}
	defer func() {
		for _, publisher := range byServer {
			publisher.CleanupPublisher()
		}
	}()
	if wanted.RatePerSecond > 0 {
		return run.openLoop()
	}
	return run.closedLoop()
}

func (run *load) publishersOf(servers cluster, inFlightMax int) (map[string]jetstream.JetStream, error) {
	publishers := map[string]jetstream.JetStream{}
	for name, conn := range servers {
		publisher, err := jetstream.New(conn,
			jetstream.WithPublishAsyncMaxPending(inFlightMax),
			jetstream.WithPublishAsyncAckHandler(func(_ jetstream.JetStream, message *nats.Msg, _ *jetstream.PubAck) {
				run.answered(message)
			}),
			jetstream.WithPublishAsyncErrHandler(func(_ jetstream.JetStream, message *nats.Msg, err error) {
				run.failure.CompareAndSwap(nil, &err)
				run.answered(message)
			}))
		if err != nil {
			return nil, err
		}
		publishers[name] = publisher
	}
	return publishers, nil
}

func leaderOf(manager jetstream.JetStream, name string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), requestMax)
	defer cancel()
	stream, err := manager.Stream(ctx, name)
	if err != nil {
		return "", err
	}
	return stream.CachedInfo().Cluster.Leader, nil
}

// records makes messages of key and value together: a message of NATS has no key.
func records(recordBytes int) [][]byte {
	random := rand.New(rand.NewSource(1))
	pool := make([][]byte, max(1, poolBytes/recordBytes))
	for index := range pool {
		pool[index] = make([]byte, recordBytes-framingBytes)
		random.Read(pool[index])
	}
	return pool
}

func (run *load) answered(message *nats.Msg) {
	one := run.slots[message]
	if run.micros != nil && !one.due.IsZero() {
		run.micros <- time.Since(one.due).Microseconds()
	}
	run.free <- one
}

// send waits for a free slot, and sends to the partitions in turn.
func (run *load) send(number int, due time.Time) error {
	one := <-run.free
	partition := number % len(run.subjects)
	one.due = due
	one.message = nats.Msg{Subject: run.subjects[partition], Data: run.pool[number%len(run.pool)]}
	if _, err := run.publishers[partition].PublishMsgAsync(&one.message); err != nil {
		run.free <- one
		return err
	}
	return run.failed()
}

func (run *load) failed() error {
	if failure := run.failure.Load(); failure != nil {
		return *failure
	}
	return nil
}

// drained waits until every message is answered.
func (run *load) drained() error {
	deadline := time.After(answersMax)
	for range cap(run.free) {
		select {
		case <-run.free:
		case <-deadline:
			return fmt.Errorf("answers are missing %s after the last message", answersMax)
		}
	}
	return run.failed()
}

func (run *load) closedLoop() (answer, error) {
	start := time.Now()
	end := start.Add(time.Duration(run.Seconds * float64(time.Second)))
	sent := 0
	for ; time.Now().Before(end); sent++ {
		if err := run.send(sent, time.Time{}); err != nil {
			return answer{}, err
		}
	}
	if err := run.drained(); err != nil {
		return answer{}, err
	}
	return run.sample(sent, time.Since(start)), nil
}

func (run *load) openLoop() (answer, error) {
	warmUpCount := int(math.Ceil(rateWarmUp.Seconds() * run.RatePerSecond))
	recordCount := warmUpCount + int(math.Ceil(run.Seconds*run.RatePerSecond))
	latencies := hdrhistogram.New(1, highestMicros, 3)
	run.micros = make(chan int64, cap(run.free))
	counted := make(chan struct{})
	go func() {
		defer close(counted)
		for micros := range run.micros {
			_ = latencies.RecordValue(max(1, min(micros, highestMicros)))
		}
	}()
	start := time.Now()
	dueAt := func(number int) time.Time {
		return start.Add(time.Duration(float64(number) / run.RatePerSecond * float64(time.Second)))
	}
	for sent := 0; sent < recordCount; time.Sleep(tick) {
		dueCount := min(recordCount, 1+int(time.Since(start).Seconds()*run.RatePerSecond))
		for ; sent < dueCount; sent++ {
			due := dueAt(sent)
			if sent < warmUpCount {
				due = time.Time{}
			}
			if err := run.send(sent, due); err != nil {
				return answer{}, err
			}
		}
	}
	if err := run.drained(); err != nil {
		return answer{}, err
	}
	done := run.sample(recordCount-warmUpCount, time.Since(dueAt(warmUpCount)))
	close(run.micros)
	<-counted
	encoded, err := latencies.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	if err != nil {
		return answer{}, err
	}
	done.Latencies = string(encoded)
	return done, nil
}

func (run *load) sample(recordCount int, took time.Duration) answer {
	return answer{
		RecordCount: recordCount,
		Bytes:       recordCount * run.RecordBytes,
		DurationMs:  float64(took.Microseconds()) / 1000,
	}
}
