module bench.counter/goserver

go 1.24
