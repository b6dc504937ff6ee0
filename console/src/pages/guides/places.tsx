import { ActionIcon, Group } from "@mantine/core";
import { IconArrowDown, IconArrowUp, IconTrash } from "@tabler/icons-react";

interface PlacesProps {
  name: string;
  isFirst: boolean;
  isLast: boolean;
  onMove: (by: 1 | -1) => void;
  onRemove: () => void;
}

/** Moves a row up and down, and takes it out. */
export function Places({ name, isFirst, isLast, onMove, onRemove }: PlacesProps) {
  return (
    <Group gap={4} wrap="nowrap">
      <ActionIcon variant="subtle" disabled={isFirst} aria-label={`Move ${name} up`} onClick={() => { onMove(-1); }}>
        <IconArrowUp size={16} />
      </ActionIcon>
      <ActionIcon variant="subtle" disabled={isLast} aria-label={`Move ${name} down`} onClick={() => { onMove(1); }}>
        <IconArrowDown size={16} />
      </ActionIcon>
      <ActionIcon variant="subtle" color="red" aria-label={`Take ${name} out`} onClick={onRemove}>
        <IconTrash size={16} />
      </ActionIcon>
    </Group>
  );
}
