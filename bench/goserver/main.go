// A bare counter over HTTP: what the service is compared to. It neither logs nor measures.
package main

import (
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
)

func main() {
	var (
		mutex sync.Mutex
		count uint64
	)
	listener, err := net.Listen("tcp", os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	log.Fatal(http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		mutex.Lock()
		count++
		value := count
		mutex.Unlock()
		header := w.Header()
		header.Set("Content-Type", "application/json")
		header.Set("Cache-Control", "no-store")
		_, _ = w.Write([]byte(`{"count": ` + strconv.FormatUint(value, 10) + `}`))
	})))
}
