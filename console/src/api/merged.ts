interface Row {
  id: string;
  status: string;
}

/**
 * What is shown after a message of a stream: those that are known already, as they are now, and before them the new ones.
 * Those that are no longer as they were asked for go, and the oldest beyond `most`.
 */
export function merged<R extends Row>(shown: R[], told: R[], status: string | undefined, most: number): R[] {
  const now = new Map(told.map((row) => [row.id, row]));
  const known = new Set(shown.map((row) => row.id));
  const rows = [...told.filter((row) => !known.has(row.id)), ...shown.map((row) => now.get(row.id) ?? row)];
  return rows.filter((row) => status === undefined || row.status === status).slice(0, most);
}
