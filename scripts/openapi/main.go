// Command openapi prints the OpenAPI document of the REST API, from which the
// types of the web pages are generated.
package main

import (
	"fmt"
	"os"

	"github.com/trefoil-iot/trefoil/internal/api"
)

func main() {
	document, err := api.Document()
	if err == nil {
		_, err = os.Stdout.Write(document)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "openapi:", err)
		os.Exit(1)
	}
}
