// pion's RTCPeerConnection, driven by a test: a line of JSON in is a call, a line out its reply.
// The end of the input is the end of the process. The verbs are those of tests/support/browsers/verbs.mjs.
//
// One source for two generations of pion: v4.go and v3.go say what each calls its things.
package main

import (
	"bufio"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
)

type call struct {
	ID      int     `json:"id"`
	Verb    string  `json:"verb"`
	SDP     string  `json:"sdp"`
	Label   string  `json:"label"`
	Options options `json:"options"`
	Key     int     `json:"key"`
	First   int     `json:"first"`
	Count   int     `json:"count"`
	Size    int     `json:"size"`
}

type options struct {
	Ordered           *bool   `json:"ordered"`
	Protocol          *string `json:"protocol"`
	MaxRetransmits    *uint16 `json:"maxRetransmits"`
	MaxPacketLifeTime *uint16 `json:"maxPacketLifeTime"`
	Negotiated        *bool   `json:"negotiated"`
	ID                *uint16 `json:"id"`
}

type reply struct {
	ID     int     `json:"id"`
	Result any     `json:"result"`
	Error  *string `json:"error,omitempty"`
}

// channel is a data channel and what has come on it.
type channel struct {
	raw      *Channel
	messages chan Message
	opened   chan struct{}
	closed   chan struct{}
	drained  chan struct{}
}

type servant struct {
	mutex      sync.Mutex
	connection *Connection
	channels   []*channel
	incoming   chan int
}

func (s *servant) keep(raw *Channel) int {
	c := &channel{
		raw:      raw,
		messages: make(chan Message, 1<<16),
		opened:   make(chan struct{}),
		closed:   make(chan struct{}),
		drained:  make(chan struct{}, 1),
	}
	var once sync.Once
	raw.OnMessage(func(message Message) { c.messages <- message })
	raw.OnOpen(func() { close(c.opened) })
	raw.OnClose(func() { once.Do(func() { close(c.closed) }) })
	raw.OnBufferedAmountLow(func() {
		select {
		case c.drained <- struct{}{}:
		default:
		}
	})
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.channels = append(s.channels, c)
	return len(s.channels) - 1
}

func (s *servant) channel(key int) *channel {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.channels[key]
}

// drain waits until no more than so many bytes are buffered, if there are more.
func (c *channel) drain(above, down uint64) {
	c.raw.SetBufferedAmountLowThreshold(down)
	for c.raw.BufferedAmount() > above {
		<-c.drained
	}
}

func (c *channel) send(message Message) error {
	if message.IsString {
		return c.raw.SendText(string(message.Data))
	}
	return c.raw.Send(message.Data)
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func described(message Message) []any {
	kind := "bytes"
	if message.IsString {
		kind = "text"
	}
	return []any{kind, len(message.Data), digest(message.Data)}
}

func (s *servant) begin() error {
	if s.connection != nil {
		_ = s.connection.Close() // of a test that failed
	}
	settings := SettingEngine{}
	settings.SetIncludeLoopbackCandidate(true)
	connection, err := newAPI(withSettings(settings)).NewPeerConnection(Configuration{})
	if err != nil {
		return err
	}
	s.connection, s.channels, s.incoming = connection, nil, make(chan int, 1<<10)
	incoming := s.incoming
	connection.OnDataChannel(func(raw *Channel) { incoming <- s.keep(raw) })
	return nil
}

func (s *servant) describe(description SessionDescription, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	complete := gathered(s.connection)
	if err := s.connection.SetLocalDescription(description); err != nil {
		return nil, err
	}
	<-complete
	return s.connection.LocalDescription().SDP, nil
}

func (s *servant) do(c call) (any, error) {
	switch c.Verb {
	case "begin":
		return nil, s.begin()
	case "offer":
		return s.describe(s.connection.CreateOffer(nil))
	case "answer":
		offer := SessionDescription{Type: typeOffer, SDP: c.SDP}
		if err := s.connection.SetRemoteDescription(offer); err != nil {
			return nil, err
		}
		return s.describe(s.connection.CreateAnswer(nil))
	case "accept":
		answer := SessionDescription{Type: typeAnswer, SDP: c.SDP}
		return nil, s.connection.SetRemoteDescription(answer)
	case "create":
		raw, err := s.connection.CreateDataChannel(c.Label, &ChannelInit{
			Ordered: c.Options.Ordered, Protocol: c.Options.Protocol,
			MaxRetransmits: c.Options.MaxRetransmits, MaxPacketLifeTime: c.Options.MaxPacketLifeTime,
			Negotiated: c.Options.Negotiated, ID: c.Options.ID,
		})
		if err != nil {
			return nil, err
		}
		return s.keep(raw), nil
	case "taken":
		return <-s.incoming, nil
	case "leave":
		_ = s.connection.Close() // pion 3 fails here if the other side has left first
		return nil, nil
	}
	return s.channel(c.Key).do(c)
}

func (c *channel) do(call call) (any, error) {
	switch call.Verb {
	case "opened":
		<-c.opened
		return map[string]any{
			"label": c.raw.Label(), "protocol": c.raw.Protocol(), "ordered": c.raw.Ordered(),
			"maxRetransmits": c.raw.MaxRetransmits(), "maxPacketLifeTime": c.raw.MaxPacketLifeTime(),
			"negotiated": c.raw.Negotiated(), "id": c.raw.ID(),
		}, nil
	case "closed":
		<-c.closed
		return nil, nil
	case "close":
		return nil, closeAfterSent(c.raw)
	case "flushed":
		return nil, nil // closing waits for what is queued
	case "count":
		for n := call.First; n < call.First+call.Count; n++ {
			text := fmt.Sprintf("%-*d", call.Size, n)
			if err := c.raw.SendText(text); err != nil {
				return nil, err
			}
		}
		return nil, nil
	case "counted":
		<-c.closed
		numbers := []int{}
		for len(c.messages) > 0 {
			text := strings.TrimSpace(string((<-c.messages).Data))
			number, err := strconv.Atoi(text)
			if err != nil {
				return nil, err
			}
			numbers = append(numbers, number)
		}
		return numbers, nil
	case "take":
		return described(<-c.messages), nil
	case "echo":
		message := <-c.messages
		return described(message), c.send(message)
	case "stream":
		hash := sha256.New()
		for n := 0; n < call.Count; n++ {
			data := make([]byte, call.Size)
			_, _ = rand.Read(data)
			hash.Write(data)
			c.drain(1<<20, 1<<16)
			if err := c.raw.Send(data); err != nil {
				return nil, err
			}
		}
		return hex.EncodeToString(hash.Sum(nil)), nil
	case "collect":
		hash := sha256.New()
		for got := 0; got < call.Size; {
			message := <-c.messages
			hash.Write(message.Data)
			got += len(message.Data)
		}
		return hex.EncodeToString(hash.Sum(nil)), nil
	}
	return nil, fmt.Errorf("there is no verb %q", call.Verb)
}

func main() {
	var s servant
	var writing sync.Mutex
	replies := os.Stdout
	os.Stdout = os.Stderr // where pion 3 complains
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var c call
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			panic(err)
		}
		// Some wait for what later ones bring about.
		go func() {
			result, err := s.do(c)
			answer := reply{ID: c.ID, Result: result}
			if err != nil {
				text := c.Verb + ": " + err.Error()
				answer.Error = &text
			}
			line, _ := json.Marshal(answer)
			writing.Lock()
			defer writing.Unlock()
			fmt.Fprintln(replies, string(line))
		}()
	}
}
