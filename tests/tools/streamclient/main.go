// SPDX-License-Identifier: MIT

// Command streamclient reads observer.Observer/GetFlows as fast as it can and prints what it got as one line of JSON.
//
//	streamclient -mode grpc  -address 127.0.0.1:4244 -request <hex> [-seconds 5] [-streams 1]
//	streamclient -mode count -address 127.0.0.1:4244 -request <hex> [-seconds 5] [-streams 1]
//
// Mode grpc is a grpc-go client whose codec keeps messages as bytes: what grpc-go itself can take. Mode count reads HTTP/2
// frames and walks the gRPC prefixes in them: what any client could take at best. Each stream has a connection of its own.
package main

import (
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"sync"
	"time"
)

// Result of one stream.
type result struct {
	messages, bytes uint64
	err             error
}

// readStream reads until the stream ends or stop is closed.
type readStream func(address string, path string, request []byte, stop <-chan struct{}) result

func main() {
	mode := flag.String("mode", "grpc", "grpc or count")
	address := flag.String("address", "127.0.0.1:4244", "server to read from")
	path := flag.String("path", "/observer.Observer/GetFlows", "method to call")
	request := flag.String("request", "", "request message, in hexadecimal")
	seconds := flag.Float64("seconds", 0, "stop after this time; 0: when the streams end")
	streams := flag.Int("streams", 1, "streams to read at once")
	flag.Parse()

	message, err := hex.DecodeString(*request)
	if err != nil {
		fail("Cannot read -request: %v", err)
	}
	read, known := map[string]readStream{"grpc": readGrpc, "count": readCount}[*mode]
	if !known {
		fail("Unknown -mode %q: expected grpc or count", *mode)
	}

	stop := make(chan struct{})
	results := make([]result, *streams)
	var group sync.WaitGroup
	begin := time.Now()
	for i := range results {
		group.Add(1)
		go func() {
			defer group.Done()
			results[i] = read(*address, *path, message, stop)
		}()
	}
	if *seconds > 0 {
		time.AfterFunc(time.Duration(*seconds*float64(time.Second)), func() { close(stop) })
	}
	group.Wait()
	elapsed := time.Since(begin).Seconds()

	var total result
	for _, one := range results {
		total.messages += one.messages
		total.bytes += one.bytes
		if one.err != nil {
			fail("Stream failed: %v", one.err)
		}
	}
	json.NewEncoder(os.Stdout).Encode(map[string]any{
		"messages": total.messages,
		"bytes":    total.bytes,
		"seconds":  elapsed,
	})
}

func fail(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
	os.Exit(1)
}
