// SPDX-License-Identifier: MIT

package main

import (
	"context"
	"fmt"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
)

// rawCodec leaves messages as they are: sent from *[]byte, received as a length.
type rawCodec struct{}

func (rawCodec) Name() string { return "proto" }

func (rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(*v.(*[]byte))}, nil
}

func (rawCodec) Unmarshal(data mem.BufferSlice, v any) error {
	length, ok := v.(*int)
	if !ok {
		return fmt.Errorf("cannot receive into %T", v)
	}
	*length = data.Len()
	return nil
}

func readGrpc(address string, path string, request []byte, stop <-chan struct{}) (total result) {
	connection, err := grpc.NewClient(address,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithReadBufferSize(256*1024),
		grpc.WithInitialWindowSize(8<<20),
		grpc.WithInitialConnWindowSize(8<<20))
	if err != nil {
		return result{err: err}
	}
	defer connection.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-stop:
			cancel()
		case <-ctx.Done():
		}
	}()
	description := &grpc.StreamDesc{ServerStreams: true}
	stream, err := connection.NewStream(ctx, description, path, grpc.ForceCodecV2(rawCodec{}))
	if err != nil {
		return result{err: err}
	}
	if err := stream.SendMsg(&request); err != nil {
		return result{err: err}
	}
	if err := stream.CloseSend(); err != nil {
		return result{err: err}
	}
	for {
		var length int
		if err := stream.RecvMsg(&length); err != nil {
			if err != io.EOF && ctx.Err() == nil {
				total.err = err
			}
			return total
		}
		total.messages++
		total.bytes += uint64(length)
	}
}
