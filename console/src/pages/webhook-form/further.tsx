import { Accordion, Badge, Group, Stack } from "@mantine/core";
import type { ReactNode } from "react";
import { Refusal } from "../../api/client";
import { Authentication } from "./authentication";
import { Filter } from "./filter";
import { Format } from "./format";
import { FurtherHeaders } from "./further-headers";
import { Pace } from "./pace";
import type { PartProps } from "./part";
import { NEW, type Values } from "./values";

interface Group {
  name: string;
  /** The fields of the API that are set there. */
  fields: string[];
  isDefault: (values: Values) => boolean;
  isFor: (values: Values) => boolean;
  content: (props: PartProps) => ReactNode;
}

const always = () => true;
const ofUrl = ({ type }: Values) => type === "url";

/** What most webhooks leave as it is. */
const GROUPS: Record<string, Group> = {
  filter: {
    name: "Only some of the events",
    fields: ["filter", "audit"],
    isDefault: ({ filter, audit }) => filter.trim() === "" && !audit,
    isFor: always,
    content: (props) => <Filter {...props} />,
  },
  format: {
    name: "Format of the body",
    fields: ["format"],
    isDefault: ({ format }) => format === "plain",
    isFor: ofUrl,
    content: (props) => <Format {...props} />,
  },
  headers: {
    name: "Further headers and authentication",
    fields: ["headers", "auth", "client_certificate"],
    isDefault: ({ headers, auth, certificate }) => headers.length === 0 && auth === "none" && certificate === "",
    isFor: always,
    content: (props) => (
      <Stack gap="lg">
        <FurtherHeaders {...props} />
        {props.values.type === "url" && <Authentication {...props} />}
      </Stack>
    ),
  },
  pace: {
    name: "Pace and order",
    fields: ["timeout_s", "concurrency", "rate_limit_per_s", "ordered", "standard_webhooks"],
    isDefault: ({ timeout, concurrency, rate, ordered, standardWebhooks }) =>
      timeout === NEW.timeout && concurrency === NEW.concurrency && rate === "" && !ordered && standardWebhooks,
    isFor: always,
    content: (props) => <Pace {...props} />,
  },
};

/** The fields that have a place here. */
export const FURTHER_FIELDS = Object.values(GROUPS).flatMap(({ fields }) => fields);

/** What a newcomer need not know of: closed, marked where something is set, and opened where saving was refused. */
export function Further(props: PartProps & { opened: string[]; onOpen: (groups: string[]) => void }) {
  const { values, error, opened, onOpen } = props;
  const refused = error instanceof Refusal ? (error.problem.field ?? "").split(".")[0] : undefined;
  const mustOpen = Object.entries(GROUPS).filter(([, { fields }]) => refused !== undefined && fields.includes(refused));
  const shown = [...new Set([...opened, ...mustOpen.map(([key]) => key)])];
  return (
    <Accordion variant="contained" multiple value={shown} onChange={onOpen}>
      {Object.entries(GROUPS)
        .filter(([, { isFor }]) => isFor(values))
        .map(([key, { name, isDefault, content }]) => (
          <Accordion.Item key={key} value={key}>
            <Accordion.Control>
              <Group justify="space-between" pr="sm">
                {name}
                {!isDefault(values) && (
                  <Badge variant="light" radius="sm" tt="none">
                    set
                  </Badge>
                )}
              </Group>
            </Accordion.Control>
            <Accordion.Panel>{shown.includes(key) && content(props)}</Accordion.Panel>
          </Accordion.Item>
        ))}
    </Accordion>
  );
}
