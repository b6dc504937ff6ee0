import { Badge } from "@mantine/core";

const COLOURS: Record<string, string> = {
  delivered: "green",
  retrying: "yellow",
  failed: "red",
  cancelled: "gray",
  expired: "orange",
  on: "green",
  off: "gray",
  turned_off: "red",
  draft: "gray",
  published: "green",
  archived: "orange",
};

const WORDS: Record<string, string> = { turned_off: "turned off" };

/** The state of a delivery or a webhook, in a word and a colour. */
export function Status({ of }: { of: string }) {
  return (
    <Badge color={COLOURS[of] ?? "blue"} variant="light" radius="sm" tt="none" miw="max-content">
      {WORDS[of] ?? of}
    </Badge>
  );
}
