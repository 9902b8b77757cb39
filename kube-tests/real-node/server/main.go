// A server with the behaviour that its flags set. It speaks plain HTTP/1.1, one request per connection:
//
//	GET /       responds with the name of the pod
//	GET /crash  responds, then exits with status 1
//
// `server pause` runs as the process of a pod's sandbox instead.
package main

import (
	"flag"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// The values of the flags; the defaults are those of a healthy server.
type behaviour struct {
	port        int
	local       bool
	udp         bool
	tls         bool
	single      bool
	listenAfter time.Duration
	stopAfter   time.Duration

	hangAfter time.Duration
	hangFor   time.Duration
	hangAt    int64

	onEmpty   string
	leak      int
	grow      int
	growTo    int
	growAfter time.Duration
	child     bool

	second     string
	secondPort int

	peers     string
	members   int
	state     string
	replay    time.Duration
	failFirst bool
}

func flags() behaviour {
	var b behaviour
	flag.IntVar(&b.port, "port", 8080, "port of the traffic")
	flag.BoolVar(&b.local, "local", false, "listen on 127.0.0.1 only")
	flag.BoolVar(&b.udp, "udp", false, "echo UDP instead of serving HTTP")
	flag.BoolVar(&b.tls, "tls", false, "speak TLS, with a certificate made at the start")
	flag.BoolVar(&b.single, "single", false, "accept a connection only after the one before has ended")
	flag.DurationVar(&b.listenAfter, "listen-after", 0, "time from the start until it listens; negative: never")
	flag.DurationVar(&b.stopAfter, "stop-after", 3*time.Second, "time that it goes on to serve after SIGTERM")
	flag.DurationVar(&b.hangAfter, "hang-after", 0, "time from the start until it accepts no more; 0: never")
	flag.DurationVar(&b.hangFor, "hang-for", 0, "time until it accepts again; 0: never")
	flag.Int64Var(&b.hangAt, "hang-at", 0, "Unix time at which it accepts no more, unless it starts later; 0: never")
	flag.StringVar(&b.onEmpty, "on-empty", "", "what a connection without a request does: die, leak")
	flag.IntVar(&b.leak, "leak", 1, "MiB that each connection without a request leaks")
	flag.IntVar(&b.grow, "grow", 0, "MiB that it takes each second, and keeps")
	flag.IntVar(&b.growTo, "grow-to", 0, "MiB that it takes in all; 0: no end")
	flag.DurationVar(&b.growAfter, "grow-after", 0, "time from the start until it grows")
	flag.BoolVar(&b.child, "child", false, "grow in a child process, which is started again when it is killed")
	flag.StringVar(&b.second, "second", "", "what is on the second port: local, udp, closes; nothing by default")
	flag.IntVar(&b.secondPort, "second-port", 9000, "the second port")
	flag.StringVar(&b.peers, "peers", "", "headless Service whose ready members it waits for before it listens")
	flag.IntVar(&b.members, "members", 3, "members of the quorum, of which more than half have to be ready")
	flag.StringVar(&b.state, "state", "/state", "directory that outlives the container, for the two flags below")
	flag.DurationVar(&b.replay, "replay", 0, "time that it replays before it listens, after an end without SIGTERM")
	flag.BoolVar(&b.failFirst, "fail-first", false, "end with status 1 at the first start in a pod")
	flag.Parse()
	return b
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "pause" {
		pause()
	}
	log.SetOutput(os.Stdout)
	b := flags()
	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, syscall.SIGTERM)
	ready := make(chan struct{})
	go func() {
		b.start()
		close(ready)
	}()
	select {
	case <-terminated: // nobody is served yet, and a replay begins anew with the next start
	case <-ready:
		go b.serve()
		<-terminated
		log.Println("stopping after", b.stopAfter)
		time.Sleep(b.stopAfter)
		b.markClean()
	}
}

// start does everything that comes before listening on the port of the traffic.
func (b *behaviour) start() {
	b.failAtFirst()
	if b.second != "" {
		go b.serveSecond()
	}
	if b.grow > 0 {
		go b.growMemory()
	}
	b.replayAfterCrash()
	if b.peers != "" {
		waitForPeers(b.peers, b.members)
	}
	if b.listenAfter < 0 {
		select {}
	}
	time.Sleep(b.listenAfter)
}
