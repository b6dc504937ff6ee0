# Feeds docs/snippets/verify.sh; drive.mjs says what the lines are.
. ./verify.sh

value() { printf %s "${1#?}" | base64 -d; }
word() { if "$@"; then printf ok; else printf refused; fi; }

while read -r secret key body pendo id timestamp signatures; do
    value "$body" >body
    word verify_pendo "$(value "$secret")" body "$(value "$pendo")"
    printf ' '
    word verify_standard "$(value "$key")" body "$(value "$id")" "$(value "$timestamp")" "$(value "$signatures")"
    echo
done
