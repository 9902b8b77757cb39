package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"syscall"
	"time"
)

// patience is how long a connection may take for its request.
const patience = 30 * time.Second

// address is where a port listens.
func address(local bool, port int) string {
	if local {
		return fmt.Sprintf("127.0.0.1:%d", port)
	}
	return fmt.Sprintf(":%d", port)
}

// serve serves the traffic for good.
func (b *behaviour) serve() {
	if b.udp {
		echo(address(b.local, b.port))
	}
	listener, err := net.Listen("tcp", address(b.local, b.port))
	if err != nil {
		log.Fatal(err)
	}
	log.Println("listening on", listener.Addr())
	var config *tls.Config
	if b.tls {
		config = selfSigned()
	}
	hang := b.hang()
	for {
		select {
		case <-hang:
			hang = nil
			b.hangOn(listener.(*net.TCPListener))
		default:
		}
		// The deadline lets it see that the time to hang has come.
		_ = listener.(*net.TCPListener).SetDeadline(time.Now().Add(100 * time.Millisecond))
		connection, err := listener.Accept()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			continue
		}
		if err != nil {
			log.Fatal(err)
		}
		if b.single {
			b.answer(connection, config)
		} else {
			go b.answer(connection, config)
		}
	}
}

// hang returns what fires when it is time to hang.
func (b *behaviour) hang() <-chan time.Time {
	if left := time.Until(time.Unix(b.hangAt, 0)); left > 0 {
		return time.After(left)
	}
	if b.hangAfter == 0 {
		return nil
	}
	return time.After(b.hangAfter)
}

// hangOn accepts nothing for a while, and lets the kernel queue no more than one connection meanwhile: behind the
// usual queue of thousands, a probe that only connects would not see for minutes that nobody accepts.
func (b *behaviour) hangOn(listener *net.TCPListener) {
	log.Println("hanging")
	setBacklog(listener, 0)
	if b.hangFor == 0 {
		select {}
	}
	time.Sleep(b.hangFor)
	setBacklog(listener, syscall.SOMAXCONN)
	log.Println("accepting again")
}

func setBacklog(listener *net.TCPListener, backlog int) {
	raw, err := listener.SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) {
			if err := syscall.Listen(int(fd), backlog); err != nil {
				log.Fatal(err)
			}
		})
	}
	if err != nil {
		log.Fatal(err)
	}
}

// answer serves the one request of a connection.
func (b *behaviour) answer(connection net.Conn, config *tls.Config) {
	defer connection.Close()
	_ = connection.SetDeadline(time.Now().Add(patience))
	peeked := bufio.NewReader(connection)
	if _, err := peeked.Peek(1); err != nil {
		b.empty(connection)
		return
	}
	var stream net.Conn = buffered{connection, peeked}
	if config != nil {
		encrypted := tls.Server(stream, config)
		defer encrypted.Close()
		stream = encrypted
	}
	request, err := http.ReadRequest(bufio.NewReader(stream))
	if err != nil {
		return
	}
	name, _ := os.Hostname()
	body := name + "\n"
	fmt.Fprintf(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	if request.URL.Path == "/crash" {
		_ = connection.Close()
		log.Fatal("crashing, as was asked for")
	}
}

// buffered is a connection whose first bytes have been read already.
type buffered struct {
	net.Conn
	reader io.Reader
}

func (b buffered) Read(into []byte) (int, error) { return b.reader.Read(into) }

// empty does what a connection without a request does to this server.
func (b *behaviour) empty(connection net.Conn) {
	switch b.onEmpty {
	case "die":
		log.Fatal("dying of an empty connection from ", connection.RemoteAddr())
	case "leak":
		take(b.leak)
	}
}

// serveSecond does for good what the second port does.
func (b *behaviour) serveSecond() {
	switch b.second {
	case "udp":
		echo(address(false, b.secondPort))
	case "local", "closes":
		listener, err := net.Listen("tcp", address(b.second == "local", b.secondPort))
		if err != nil {
			log.Fatal(err)
		}
		for {
			if connection, err := listener.Accept(); err == nil {
				connection.Close()
			}
		}
	default:
		log.Fatalf("-second=%s: want local, udp or closes", b.second)
	}
}

// echo sends datagrams back for good.
func echo(address string) {
	socket, err := net.ListenPacket("udp", address)
	if err != nil {
		log.Fatal(err)
	}
	log.Println("listening on", socket.LocalAddr(), "for datagrams")
	datagram := make([]byte, 1500)
	for {
		if n, from, err := socket.ReadFrom(datagram); err == nil {
			_, _ = socket.WriteTo(datagram[:n], from)
		}
	}
}

// selfSigned makes a certificate that nobody trusts.
func selfSigned() *tls.Config {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
		DNSNames:     []string{"server"},
	}
	certificate, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	if err != nil {
		log.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{certificate}, PrivateKey: key}}}
}
