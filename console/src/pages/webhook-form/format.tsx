import { Select, Stack, Text, Textarea, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { api, ask, fieldProblem, inWords, type Schemas } from "../../api/client";
import { EVENTS } from "../../api/words";
import { Code } from "../../parts/code";
import type { PartProps } from "./part";
import { type FormatKind, formatOf } from "./values";

const FORMATS: { value: FormatKind; label: string }[] = [
  { value: "plain", label: "As it is" },
  { value: "slack", label: "A message for Slack" },
  { value: "teams", label: "A card for Microsoft Teams" },
  { value: "discord", label: "A message for Discord" },
  { value: "template", label: "What a template makes of it" },
];

const EXAMPLE = `{"text": "{{ title }}",
 "visitor": "{{ visitorId }}",
 "at": {{ timestamp }}}`;

/** What bodies are turned into, and what that looks like. */
export function Format({ values, set, error }: PartProps) {
  return (
    <Stack gap="sm">
      <Select
        label="Body"
        data={FORMATS}
        value={values.format}
        onChange={(chosen) => {
          set("format", (chosen ?? "plain"));
          if (chosen === "template" && values.template === "") set("template", EXAMPLE);
        }}
        allowDeselect={false}
        error={values.format === "template" ? undefined : fieldProblem(error, "format")}
      />
      {values.format === "template" && (
        <>
          <Textarea
            label="Template"
            description="In the language of Jinja2. Everything of an event's body can be named, and title, facts and time."
            autosize
            minRows={4}
            maxRows={24}
            required
            value={values.template}
            onChange={(event) => { set("template", event.currentTarget.value); }}
            error={fieldProblem(error, "format")}
            spellCheck={false}
            styles={{ input: { fontFamily: "var(--mantine-font-family-monospace)" } }}
          />
          <TextInput
            label="Content type"
            value={values.contentType}
            onChange={(event) => { set("contentType", event.currentTarget.value); }}
            error={fieldProblem(error, "format.content_type")}
          />
        </>
      )}
      {values.format !== "plain" && <Preview format={formatOf(values)} />}
    </Stack>
  );
}

/** What would be sent, made anew shortly after the last keystroke. */
function Preview({ format }: { format: Schemas["Format"] | null }) {
  const [event, setEvent] = useState<string>("npsSubmitted");
  const [shown] = useDebouncedValue(JSON.stringify(format), 400);
  const preview = useQuery({
    queryKey: ["try-format", shown, event],
    queryFn: () => ask(api.POST("/api/v1/webhooks/try-format", { body: { format: JSON.parse(shown) as Schemas["Format"] | null, event } })),
    placeholderData: keepPreviousData,
    staleTime: Infinity,
    retry: false,
  });
  const line = preview.data?.line;
  const problem = preview.isError ? inWords(preview.error) : preview.data?.error;
  return (
    <Stack gap={6}>
      <Select label="Shown for a sample of" size="xs" data={["ping", ...EVENTS]} value={event} onChange={(chosen) => { setEvent(chosen ?? "ping"); }} allowDeselect={false} maw={280} />
      {problem ? (
        <Text size="sm" c="red" role="alert" className="break">
          {line ? `Line ${line}: ` : ""}
          {problem}
        </Text>
      ) : (
        preview.data && <Code text={preview.data.body ?? ""} label="What would be sent" />
      )}
    </Stack>
  );
}
