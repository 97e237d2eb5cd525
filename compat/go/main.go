// The programs of the Go clients: see compat/README.md.
package main

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"

	"ottla/compat/franz"
	"ottla/compat/load"
	"ottla/compat/sarama"
	"ottla/compat/scenario"
)

type client struct {
	name, module string
	connect      func(bootstrap string) scenario.Client
	member       load.Member
}

var clients = []client{
	{"franz-go", franz.Module, franz.New, franz.Load},
	{"sarama", sarama.Module, sarama.New, sarama.Load},
}

// notApplicable is the status of a scenario that the library cannot express.
const notApplicable = 77

func main() {
	arguments := os.Args[1:]
	if len(arguments) == 1 && arguments[0] == "versions" {
		versions()
		return
	}
	for _, client := range clients {
		if len(arguments) < 2 || client.name != arguments[0] {
			continue
		}
		if arguments[1] == "member" {
			ended(load.Run(client.member, arguments[2:]))
			return
		}
		if len(arguments) == 3 {
			run(client.connect(arguments[2]), arguments[1], arguments[2])
			return
		}
	}
	fmt.Fprintln(os.Stderr, "usage: versions | CLIENT SCENARIO BOOTSTRAP | CLIENT member OPTION...")
	os.Exit(2)
}

func run(client scenario.Client, name, bootstrap string) {
	err := scenario.Run(client, name, bootstrap)
	if lack, ok := errors.AsType[scenario.Lacks](err); ok {
		fmt.Println(lack)
		os.Exit(notApplicable)
	}
	ended(err)
}

func ended(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func versions() {
	build, _ := debug.ReadBuildInfo()
	for _, client := range clients {
		for _, module := range build.Deps {
			if module.Path == client.module {
				fmt.Println(client.name, module.Version[1:])
			}
		}
	}
}
