import { Anchor, Table, Text } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { useWindowVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useLayoutEffect, useRef, useState } from "react";
import type { Delivery } from "../../api/deliveries";
import { Status } from "../../parts/status";
import { duration, Time } from "../../parts/time";

const ROW_HEIGHT = 40;
const COLUMNS = ["State", "Event", "Answer", "Attempts", "Took", "When"];

interface DeliveryRowsProps {
  rows: Delivery[];
  /** Called when the last row comes into sight. */
  onEnd: () => void;
}

/** Any number of deliveries; only those in sight are in the page. */
export function DeliveryRows({ rows, onEnd }: DeliveryRowsProps) {
  const table = useRef<HTMLTableElement>(null);
  const [top, setTop] = useState(0);
  useLayoutEffect(() => {
    const place = table.current?.getBoundingClientRect();
    if (place) setTop(place.top + window.scrollY);
  }, []);
  const list = useWindowVirtualizer({
    count: rows.length,
    estimateSize: () => ROW_HEIGHT,
    overscan: 12,
    scrollMargin: top,
    getItemKey: (index) => rows[index]?.id ?? index,
  });
  const items = list.getVirtualItems();
  const [first, last] = [items[0], items.at(-1)];
  const isAtEnd = last?.index === rows.length - 1;
  useEffect(() => {
    if (isAtEnd) onEnd();
  }, [isAtEnd, onEnd]);
  return (
    <Table.ScrollContainer minWidth={720}>
      <Table ref={table} verticalSpacing={6} highlightOnHover aria-rowcount={rows.length + 1}>
        <Table.Thead>
          <Table.Tr aria-rowindex={1}>
            {COLUMNS.map((name) => (
              <Table.Th key={name}>{name}</Table.Th>
            ))}
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          <Gap height={(first?.start ?? top) - top} />
          {items.map(({ index, key }) => {
            const row = rows[index];
            return row && <Row key={key} row={row} index={index} measure={list.measureElement} />;
          })}
          <Gap height={list.getTotalSize() - ((last?.end ?? top) - top)} />
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

/** Stands for the rows that are out of sight. */
function Gap({ height }: { height: number }) {
  if (height <= 0) return null;
  return (
    <tr aria-hidden style={{ height }}>
      <td colSpan={COLUMNS.length} style={{ padding: 0 }} />
    </tr>
  );
}

interface RowProps {
  row: Delivery;
  index: number;
  measure: (element: HTMLElement | null) => void;
}

function Row({ row, index, measure }: RowProps) {
  return (
    <Table.Tr ref={measure} data-index={index} aria-rowindex={index + 2}>
      <Table.Td>
        <Status of={row.status} />
      </Table.Td>
      <Table.Td>
        <Anchor component={Link} to={`/deliveries/${row.id}`} size="sm">
          {row.event}
        </Anchor>
        <Again row={row} />
      </Table.Td>
      <Table.Td maw={320}>
        <Text size="sm">{row.response_status ?? "no answer"}</Text>
        {row.status !== "delivered" && (
          <Text size="xs" c="dimmed" truncate title={row.sentence ?? ""}>
            {row.sentence}
          </Text>
        )}
      </Table.Td>
      <Table.Td>{row.attempt_count}</Table.Td>
      <Table.Td>{row.total_ms === null || row.total_ms === undefined ? "" : duration(row.total_ms)}</Table.Td>
      <Table.Td>
        <Time at={row.last_attempt_at ?? row.created_at} />
        {row.next_attempt_at && (
          <Text size="xs" c="dimmed">
            next <Time at={row.next_attempt_at} />
          </Text>
        )}
      </Table.Td>
    </Table.Tr>
  );
}

/** Says that somebody asked for it. */
function Again({ row }: { row: Delivery }) {
  const isReplay = row.replay_id !== null && row.replay_id !== undefined;
  if (!row.redelivery && !isReplay) return null;
  return (
    <Text size="xs" c="dimmed" span>
      {" "}
      {isReplay ? "replay" : "sent again"}
    </Text>
  );
}
