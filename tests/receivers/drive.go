// Feeds docs/snippets/verify.go; drive.mjs says what the lines are.
package main

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"os"
	"strings"

	"receivers/webhook"
)

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var fields []string
		for _, field := range strings.Fields(lines.Text()) {
			value, err := base64.StdEncoding.DecodeString(field[1:])
			if err != nil {
				panic(err)
			}
			fields = append(fields, string(value))
		}
		body := []byte(fields[2])
		pendo := webhook.VerifyPendo(fields[0], body, fields[3])
		standard := webhook.VerifyStandard(fields[1], body, fields[4], fields[5], fields[6])
		fmt.Println(word(pendo), word(standard))
	}
}

func word(genuine bool) string {
	if genuine {
		return "ok"
	}
	return "refused"
}
