"""Validates each line of standard input, a JSON text, against the JSON Schema in the file that is named."""

import json
import sys

import jsonschema_rs

with open(sys.argv[1], encoding="utf-8") as file:
    validator = jsonschema_rs.validator_for(json.load(file))

count = 0
for line in sys.stdin:
    count += 1
    for error in validator.iter_errors(json.loads(line)):
        print(f"message {count}: {error.message} at {error.instance_path}")
print(f"{count} looked at")
