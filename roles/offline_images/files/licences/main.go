// Licences names the licences of files whose paths it reads, one a line, and prints them as JSON: of each file the SPDX
// identifiers that its text is of, and none where most of it is something else.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	"github.com/google/licensecheck"
)

// As much of a file as pkg.go.dev asks for.
const leastPercent = 75

func main() {
	found := map[string][]string{}
	paths := bufio.NewScanner(os.Stdin)
	for paths.Scan() {
		text, err := os.ReadFile(paths.Text())
		if err != nil {
			fail(err)
		}
		found[paths.Text()] = licences(text)
	}
	if err := paths.Err(); err != nil {
		fail(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(found); err != nil {
		fail(err)
	}
}

func licences(text []byte) []string {
	names := []string{}
	coverage := licensecheck.Scan(text)
	if coverage.Percent < leastPercent {
		return names
	}
	for _, match := range coverage.Match {
		names = append(names, match.ID)
	}
	return names
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
