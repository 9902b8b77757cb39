package main

import (
	"log"
	"os"
	"os/exec"
	"strconv"
	"time"
)

var kept [][]byte

// take takes MiB of memory, writes to them so that they count, and keeps them.
func take(mib int) {
	block := make([]byte, mib<<20)
	for i := 0; i < len(block); i += 4096 {
		block[i] = 1
	}
	kept = append(kept, block)
}

// growMemory takes memory every second, by itself or in a child that is started anew whenever it ends.
func (b *behaviour) growMemory() {
	time.Sleep(b.growAfter)
	for b.child {
		child := exec.Command(os.Args[0], "-listen-after=-1s",
			"-grow="+strconv.Itoa(b.grow), "-grow-to="+strconv.Itoa(b.growTo))
		log.Println("the child ended:", child.Run())
	}
	for taken := 0; b.growTo == 0 || taken < b.growTo; taken += b.grow {
		time.Sleep(time.Second)
		take(b.grow)
	}
}
