import { Checkbox, Paper, Radio, SimpleGrid, Stack } from "@mantine/core";
import { fieldProblem } from "../../api/client";
import { CATEGORIES } from "../../api/words";
import type { PartProps } from "./part";

/** What happens that is told: all of it, or some. */
export function Categories({ values, set, error }: PartProps) {
  return (
    <Radio.Group
      label="Event categories"
      value={values.all ? "all" : "some"}
      onChange={(chosen) => { set("all", chosen === "all"); }}
      error={fieldProblem(error, "categories")}
    >
      <Stack gap="xs" mt="xs">
        <Radio value="all" label="All event categories" description="Categories of later versions join by themselves." />
        <Radio value="some" label="Individual event categories" />
        {!values.all && (
          <Paper withBorder p="sm">
            <Checkbox.Group value={values.categories} onChange={(chosen) => { set("categories", chosen); }} aria-label="Categories">
              <SimpleGrid cols={2} spacing="xs">
                {Object.entries(CATEGORIES).map(([category, name]) => (
                  <Checkbox key={category} value={category} label={name} />
                ))}
              </SimpleGrid>
            </Checkbox.Group>
          </Paper>
        )}
      </Stack>
    </Radio.Group>
  );
}
