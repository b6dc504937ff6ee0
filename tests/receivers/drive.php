<?php // Feeds docs/snippets/verify.php; drive.mjs says what the lines are.

declare(strict_types=1);

require __DIR__ . '/verify.php';

$word = fn (bool $genuine): string => $genuine ? 'ok' : 'refused';
while (($line = fgets(STDIN)) !== false) {
    $value = fn (string $field): ?string => $field === '-' ? null : base64_decode(substr($field, 1), true);
    [$secret, $key, $body, $pendo, $id, $timestamp, $signatures] = array_map($value, explode(' ', rtrim($line)));
    $standard = verify_standard($key, $body, $id, $timestamp, $signatures);
    echo $word(verify_pendo($secret, $body, $pendo)), ' ', $word($standard), "\n";
}
