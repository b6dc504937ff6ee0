interface Part {
  name: string;
  colour: string;
  size: number;
}

/** Parts of a whole as one bar; `label` says for everybody what it shows. */
export function Bar({ parts, label, height = 8 }: { parts: Part[]; label: string; height?: number }) {
  const total = parts.reduce((sum, { size }) => sum + size, 0);
  return (
    <div className="bar" role="img" aria-label={label} style={{ height }}>
      {total > 0 &&
        parts.map(({ name, colour, size }) => (
          <div key={name} style={{ width: `${(size / total) * 100}%`, background: `var(--mantine-color-${colour}-6)` }} />
        ))}
    </div>
  );
}
