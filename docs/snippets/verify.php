<?php // PHP 8.0 or later

declare(strict_types=1);

const TOLERANCE_S = 300;

/** A header that is missing is null, and refused. */
function verify_pendo(string $secret, string $body, ?string $signature): bool
{
    return hash_equals(hash_hmac('sha256', $body, $secret), $signature ?? '');
}

function verify_standard(string $signingKey, string $body, ?string $id, ?string $timestamp, ?string $signatures): bool
{
    if (abs(time() - (int) $timestamp) > TOLERANCE_S) {
        return false;
    }
    $key = base64_decode(preg_replace('/^whsec_/', '', $signingKey), true);
    $expected = 'v1,' . base64_encode(hash_hmac('sha256', "$id.$timestamp.$body", $key, true));
    foreach (explode(' ', $signatures ?? '') as $given) {
        if (hash_equals($expected, $given)) {
            return true;
        }
    }
    return false;
}
