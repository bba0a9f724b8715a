// The load on NATS JetStream, with its own client: jobs come as JSON, one a line, and each is answered by one line, after
// a first one that says that it is ready. A topic is a stream for each partition. Ends with its standard input.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	clusterReadyMax = 60 * time.Second
	streamReadyMax  = 30 * time.Second
	pollInterval    = 100 * time.Millisecond
	requestMax      = 10 * time.Second
)

type job struct {
	Kind           string  `json:"kind"`
	Topic          string  `json:"topic"`
	PartitionCount int     `json:"partitionCount"`
	Replicas       int     `json:"replicationFactor"`
	Seconds        float64 `json:"seconds"`
	RecordBytes    int     `json:"recordBytes"`
	InFlightBytes  int     `json:"inFlightBytes"`
	// 0 = the closed loop.
	RatePerSecond float64 `json:"ratePerSecond"`
}

type answer struct {
	Error       string  `json:"error,omitempty"`
	RecordCount int     `json:"recordCount"`
	Bytes       int     `json:"bytes"`
	DurationMs  float64 `json:"durationMs"`
	Latencies   string  `json:"latencies,omitempty"`
}

// A connection to each server, by the server's name: the leader of a stream is reached without another server between.
type cluster map[string]*nats.Conn

func main() {
	servers, err := connect(os.Args[1:])
	if err != nil {
		log.Fatal(err)
	}
	answers := json.NewEncoder(os.Stdout)
	fmt.Println(`{"ready":true}`)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var wanted job
		if err := json.Unmarshal(lines.Bytes(), &wanted); err != nil {
			log.Fatal(err)
		}
		done, err := servers.do(wanted)
		if err != nil {
			done = answer{Error: err.Error()}
		}
		if err := answers.Encode(done); err != nil {
			log.Fatal(err)
		}
	}
}

// connect returns when all servers answer and have found a leader for their metadata.
func connect(urls []string) (cluster, error) {
	servers := cluster{}
	for _, url := range urls {
		var conn *nats.Conn
		err := poll(clusterReadyMax, func(context.Context) (err error) {
			conn, err = nats.Connect(url, nats.IgnoreDiscoveredServers())
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", url, err)
		}
		servers[conn.ConnectedServerName()] = conn
	}
	manager, err := servers.manager()
	if err != nil {
		return nil, err
	}
	return servers, poll(clusterReadyMax, func(ctx context.Context) error {
		_, err := manager.AccountInfo(ctx)
		return err
	})
}

func (servers cluster) manager() (jetstream.JetStream, error) {
	for _, conn := range servers {
		return jetstream.New(conn)
	}
	return nil, fmt.Errorf("no server was named")
}

func (servers cluster) do(wanted job) (answer, error) {
	manager, err := servers.manager()
	if err != nil {
		return answer{}, err
	}
	switch wanted.Kind {
	case "create":
		for partition := range wanted.PartitionCount {
			if err := create(manager, wanted, partition); err != nil {
				return answer{}, err
			}
		}
		return answer{}, nil
	case "delete":
		for partition := range wanted.PartitionCount {
			ctx, cancel := context.WithTimeout(context.Background(), requestMax)
			err := manager.DeleteStream(ctx, streamName(wanted.Topic, partition))
			cancel()
			if err != nil {
				return answer{}, err
			}
		}
		return answer{}, nil
	}
	return servers.produce(manager, wanted)
}

func streamName(topic string, partition int) string {
	return fmt.Sprintf("%s-%d", topic, partition)
}

func subject(topic string, partition int) string {
	return fmt.Sprintf("%s.%d", topic, partition)
}

// create returns when the stream has a leader and its replicas are current.
func create(manager jetstream.JetStream, wanted job, partition int) error {
	config := jetstream.StreamConfig{
		Name:     streamName(wanted.Topic, partition),
		Subjects: []string{subject(wanted.Topic, partition)},
		Storage:  jetstream.FileStorage,
		Replicas: wanted.Replicas,
	}
	var stream jetstream.Stream
	err := poll(streamReadyMax, func(ctx context.Context) (err error) {
		stream, err = manager.CreateOrUpdateStream(ctx, config)
		return err
	})
	if err != nil {
		return err
	}
	return poll(streamReadyMax, func(ctx context.Context) error {
		info, err := stream.Info(ctx)
		if err != nil {
			return err
		}
		if info.Cluster == nil || info.Cluster.Leader == "" || len(info.Cluster.Replicas) != wanted.Replicas-1 {
			return fmt.Errorf("stream %s has not all its replicas", config.Name)
		}
		for _, replica := range info.Cluster.Replicas {
			if !replica.Current {
				return fmt.Errorf("replica %s of %s is behind", replica.Name, config.Name)
			}
		}
		return nil
	})
}

// poll repeats until there is no error, or returns the last one when the time is up.
func poll(longest time.Duration, look func(ctx context.Context) error) error {
	deadline := time.Now().Add(longest)
	for {
		ctx, cancel := context.WithTimeout(context.Background(), requestMax)
		err := look(ctx)
		cancel()
		if err == nil || time.Now().After(deadline) {
			return err
		}
		time.Sleep(pollInterval)
	}
}
