package main

import (
	"errors"
	"log"
	"os"
	"path/filepath"
	"time"
)

// mark makes a file of this name in the directory that outlives the container, and tells whether it was there.
func (b *behaviour) mark(name string) bool {
	file, err := os.OpenFile(filepath.Join(b.state, name), os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, os.ErrExist) {
		return true
	}
	if err != nil {
		log.Fatal(err)
	}
	_ = file.Close()
	return false
}

// failAtFirst ends the first container of a pod.
func (b *behaviour) failAtFirst() {
	if b.failFirst && !b.mark("started") {
		log.Fatal("failing at the first start")
	}
}

// replayAfterCrash replays where the container before did not stop in order.
func (b *behaviour) replayAfterCrash() {
	if b.replay > 0 && b.mark("dirty") {
		log.Println("replaying for", b.replay)
		time.Sleep(b.replay)
	}
}

// markClean says that this container stopped in order.
func (b *behaviour) markClean() {
	if b.replay > 0 {
		_ = os.Remove(filepath.Join(b.state, "dirty"))
	}
}
