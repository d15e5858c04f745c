// SPDX-License-Identifier: MIT

package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

const (
	window     = 1 << 30
	readBuffer = 1 << 20
)

// bufferedReader reads large pieces from the socket, so that the count is not one of system calls.
type bufferedReader struct {
	source io.Reader
	buffer [readBuffer]byte
	from   int
	to     int
}

func (r *bufferedReader) Read(p []byte) (int, error) {
	if r.from == r.to {
		n, err := r.source.Read(r.buffer[:])
		if n == 0 {
			return 0, err
		}
		r.from, r.to = 0, n
	}
	n := copy(p, r.buffer[r.from:r.to])
	r.from += n
	return n, nil
}

// prefixWalker counts gRPC messages in a body that arrives in pieces.
type prefixWalker struct {
	skip   int
	prefix [5]byte
	have   int
}

func (w *prefixWalker) walk(data []byte) (messages uint64) {
	for len(data) > 0 {
		if w.skip > 0 {
			n := min(w.skip, len(data))
			w.skip -= n
			data = data[n:]
			continue
		}
		n := copy(w.prefix[w.have:], data)
		w.have += n
		data = data[n:]
		if w.have == len(w.prefix) {
			w.skip = int(binary.BigEndian.Uint32(w.prefix[1:]))
			w.have = 0
			messages++
		}
	}
	return messages
}

func readCount(address string, path string, request []byte, stop <-chan struct{}) (total result) {
	connection, err := net.Dial("tcp", address)
	if err != nil {
		return result{err: err}
	}
	defer connection.Close()
	stopped := make(chan struct{})
	go func() {
		<-stop
		close(stopped)
		connection.Close()
	}()
	framer := http2.NewFramer(connection, &bufferedReader{source: connection})
	framer.SetReuseFrames()
	if err := begin(connection, framer, path, address, request); err != nil {
		return result{err: err}
	}
	var walker prefixWalker
	var sinceUpdate uint32
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			select {
			case <-stopped:
			default:
				if !errors.Is(err, io.EOF) {
					total.err = err
				}
			}
			return total
		}
		switch frame := frame.(type) {
		case *http2.DataFrame:
			total.messages += walker.walk(frame.Data())
			total.bytes += uint64(len(frame.Data()))
			sinceUpdate += frame.Length
			if sinceUpdate > window/2 {
				framer.WriteWindowUpdate(0, sinceUpdate)
				framer.WriteWindowUpdate(1, sinceUpdate)
				sinceUpdate = 0
			}
			if frame.StreamEnded() {
				return total
			}
		case *http2.HeadersFrame:
			if frame.StreamEnded() {
				return total
			}
		case *http2.SettingsFrame:
			if !frame.IsAck() {
				framer.WriteSettingsAck()
			}
		case *http2.PingFrame:
			if !frame.IsAck() {
				framer.WritePing(true, frame.Data)
			}
		case *http2.RSTStreamFrame:
			total.err = errors.New("stream was reset: " + frame.ErrCode.String())
			return total
		}
	}
}

// begin sends the preface, a large window and the request.
func begin(connection net.Conn, framer *http2.Framer, path string, authority string, request []byte) error {
	if _, err := io.WriteString(connection, http2.ClientPreface); err != nil {
		return err
	}
	if err := framer.WriteSettings(
		http2.Setting{ID: http2.SettingInitialWindowSize, Val: window},
		http2.Setting{ID: http2.SettingMaxFrameSize, Val: 1 << 20},
	); err != nil {
		return err
	}
	if err := framer.WriteWindowUpdate(0, window-65535); err != nil {
		return err
	}
	framer.SetMaxReadFrameSize(1 << 20)
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, field := range [][2]string{
		{":method", "POST"}, {":scheme", "http"}, {":path", path}, {":authority", authority},
		{"content-type", "application/grpc"}, {"te", "trailers"},
	} {
		encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]})
	}
	if err := framer.WriteHeaders(http2.HeadersFrameParam{
		StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true,
	}); err != nil {
		return err
	}
	body := make([]byte, 5, 5+len(request))
	binary.BigEndian.PutUint32(body[1:], uint32(len(request)))
	return framer.WriteData(1, true, append(body, request...))
}
