import { Table } from "@mantine/core";

/** Headers as they went over the wire. */
export function Headers({ headers }: { headers: { name: string; value: string }[] }) {
  if (headers.length === 0) return null;
  return (
    <Table fz="xs" withRowBorders={false} verticalSpacing={2}>
      <Table.Tbody>
        {headers.map(({ name, value }, index) => (
          <Table.Tr key={index}>
            <Table.Th w="40%" fw={600}>
              {name}
            </Table.Th>
            <Table.Td className="break">{value}</Table.Td>
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  );
}
