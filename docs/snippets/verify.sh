# sh with openssl 1.1 or later. For trying things out: while openssl runs, its arguments show the key to the machine's other users.

# secret, file with the body, X-Pendo-Signature
verify_pendo() {
    equal "$(mac "$(printf %s "$1" | hex)" <"$2" | hex)" "$3"
}

# whsec_ key, file with the body, webhook-id, webhook-timestamp, webhook-signature
verify_standard() {
    case $4 in '' | 0* | *[!0-9]* | ????????????*) return 1 ;; esac
    age=$(($(date +%s) - $4))
    [ "$age" -le 300 ] && [ "$age" -ge -300 ] || return 1
    key=$(printf %s "${1#whsec_}" | openssl base64 -d -A | hex)
    expected=v1,$({ printf %s "$3.$4." && cat "$2"; } | mac "$key" | openssl base64 -A)
    for given in $(printf %s "$5" | tr -cd 'A-Za-z0-9+/=, '); do
        equal "$expected" "$given" && return 0
    done
    return 1
}

mac() { openssl dgst -sha256 -mac HMAC -macopt "hexkey:$1" -binary; }
hex() { od -An -v -tx1 | tr -d ' \n'; }

# By their hashes: how far two hashes agree tells nothing of how far the signatures do.
equal() { [ "$(printf %s "$1" | openssl sha256)" = "$(printf %s "$2" | openssl sha256)" ]; }
