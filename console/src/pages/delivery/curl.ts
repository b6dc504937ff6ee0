interface Header {
  name: string;
  value: string;
}

/** Headers that curl makes itself. */
const ITS_OWN = ["host", "content-length", "connection"];

/** The request as a command that a shell takes: everything that is not plain is quoted. */
export function asCurl(url: string, headers: Header[], body: string): string {
  const sent = headers.filter(({ name }) => !ITS_OWN.includes(name.toLowerCase()));
  const parts = [`curl -i ${quoted(url)}`, ...sent.map(({ name, value }) => `-H ${quoted(`${name}: ${value}`)}`), `--data-binary ${quoted(body)}`];
  return parts.join(" \\\n  ");
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
