import { useDocumentVisibility } from "@mantine/hooks";
import { useEffect, useState } from "react";
import { base } from "./client";
import type { Delivery } from "./deliveries";
import { merged } from "./merged";

/** Rows that are kept of a stream, however much it brings. */
export const LIVE_MOST = 500;

interface Live {
  rows: Delivery[];
  /** How many more there were than the stream told of. */
  skipped: number;
  /** Whether the stream is open: until then, and when it is refused, there are the pages. */
  isOpen: boolean;
}

const NOTHING: Live = { rows: [], skipped: 0, isOpen: false };

/**
 * A webhook's deliveries as they happen. What comes between two frames is shown with the next one, so that the page does not
 * work more for a thousand a second than the screen can show.
 */
export function useLiveDeliveries(id: string, filter: { status?: string | undefined; event?: string | undefined }, isWanted: boolean): Live {
  const { status, event } = filter;
  // A browser keeps six connections to a server: a page that nobody sees takes none of them.
  const isSeen = useDocumentVisibility() === "visible";
  const key = isWanted && isSeen ? streamOf(id, status, event) : undefined;
  const [live, setLive] = useState<Live & { key: string | undefined }>({ ...NOTHING, key });
  useEffect(() => {
    if (key === undefined) return;
    let shown = NOTHING;
    let frame: number | undefined;
    const show = (change: Partial<Live>) => {
      shown = { ...shown, ...change };
      frame ??= requestAnimationFrame(() => {
        frame = undefined;
        setLive({ ...shown, key });
      });
    };
    const stream = new EventSource(key);
    stream.addEventListener("deliveries", ({ data }: MessageEvent<string>) => {
      show({ isOpen: true, rows: merged(shown.rows, JSON.parse(data) as Delivery[], status, LIVE_MOST) });
    });
    stream.addEventListener("skipped", ({ data }: MessageEvent<string>) => {
      show({ skipped: shown.skipped + (JSON.parse(data) as Skipped).deliveries });
    });
    // The browser opens it again by itself, unless it was refused.
    stream.addEventListener("error", () => {
      if (stream.readyState === EventSource.CLOSED) show({ isOpen: false });
    });
    return () => {
      stream.close();
      if (frame !== undefined) cancelAnimationFrame(frame);
    };
  }, [key, status]);
  return live.key === key && key !== undefined ? live : NOTHING;
}

interface Skipped {
  deliveries: number;
}

function streamOf(id: string, status: string | undefined, event: string | undefined): string {
  const url = new URL(`api/v1/webhooks/${id}/deliveries/live`, base);
  if (status !== undefined) url.searchParams.set("status", status);
  if (event !== undefined) url.searchParams.set("event", event);
  return url.href;
}
