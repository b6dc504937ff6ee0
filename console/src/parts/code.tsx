/** A text as it was sent or received; JSON is laid out for reading. */
export function Code({ text, label }: { text: string; label: string }) {
  return (
    <pre className="code" tabIndex={0} aria-label={label}>
      {text === "" ? "(empty)" : laidOut(text)}
    </pre>
  );
}

/** JSON with line breaks; anything else as it is. */
export function laidOut(text: string): string {
  if (!/^\s*[[{]/.test(text)) return text;
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
