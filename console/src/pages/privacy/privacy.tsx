import { Stack } from "@mantine/core";
import { useIsAdmin } from "../../api/queries";
import { Page } from "../../parts/page";
import { DoNotProcess } from "./do-not-process";
import { ForgetJobs } from "./forget-jobs";

/** Whose data is not taken, and whose was erased. */
export function Privacy() {
  const isAdmin = useIsAdmin();
  return (
    <Page title="Privacy" crumbs={[{ name: "Data" }]}>
      <Stack gap="xl">
        <DoNotProcess isAdmin={isAdmin} />
        <ForgetJobs isAdmin={isAdmin} />
      </Stack>
    </Page>
  );
}
