import { NumberInput, Paper, Select, SimpleGrid, Stack, Textarea, TextInput, Title } from "@mantine/core";
import { fieldProblem } from "../../api/client";
import { LAYOUTS, type ShowingValues } from "./values";

interface ShowingProps {
  values: ShowingValues;
  error: unknown;
  onChange: (change: Partial<ShowingValues>) => void;
}

/** How, where, when and to whom a guide is shown. */
export function Showing({ values, error, onChange }: ShowingProps) {
  const layouts = Object.entries(LAYOUTS).map(([value, label]) => ({ value, label }));
  return (
    <Paper withBorder p="md" component="section" aria-label="How it is shown">
      <Stack gap="md">
        <Title order={2} size="h5">
          How it is shown
        </Title>
        <SimpleGrid cols={{ base: 1, sm: 2 }}>
          <Select label="As" data={layouts} value={values.layout} onChange={(layout) => { if (layout !== null) onChange({ layout }); }} allowDeselect={false} error={fieldProblem(error, "layout")} />
          <NumberInput
            label="Again after (days)"
            description="Empty: each visitor sees it once."
            min={1}
            max={365}
            allowDecimal={false}
            value={values.everyDays}
            onChange={(days) => { onChange({ everyDays: typeof days === "number" ? days : "" }); }}
            error={fieldProblem(error, "everyDays")}
            inputWrapperOrder={["label", "input", "description", "error"]}
          />
          <TextInput label="From" type="datetime-local" value={values.startsAt} onChange={(event) => { onChange({ startsAt: event.currentTarget.value }); }} error={fieldProblem(error, "startsAt")} />
          <TextInput label="Until" type="datetime-local" value={values.endsAt} onChange={(event) => { onChange({ endsAt: event.currentTarget.value }); }} error={fieldProblem(error, "endsAt")} />
        </SimpleGrid>
        <Textarea
          label="Pages"
          description="One in a line: a path like /settings/*, or an address like https://app.example.com/*. Empty: everywhere."
          autosize
          minRows={1}
          maxRows={10}
          spellCheck={false}
          value={values.pages}
          onChange={(event) => { onChange({ pages: event.currentTarget.value }); }}
          error={fieldProblem(error, "pages")}
        />
        <Textarea
          label="Audience"
          description={'A rule in CEL about visitor and account, like visitor.agent.role == "admin". Empty: everybody.'}
          autosize
          minRows={1}
          maxRows={10}
          spellCheck={false}
          styles={{ input: { fontFamily: "var(--mantine-font-family-monospace)" } }}
          value={values.audience}
          onChange={(event) => { onChange({ audience: event.currentTarget.value }); }}
          error={fieldProblem(error, "audience")}
        />
      </Stack>
    </Paper>
  );
}
