import { Alert, Anchor, Button, Text } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { api, ask } from "../../api/client";
import { Front } from "../../parts/front";
import { Refused } from "../../parts/states";

const route = getRouteApi("/email-change");

/** Confirms an address. A click is asked for, because programs that read mail follow links too. */
export default function EmailChange() {
  const { token = "" } = route.useSearch();
  const confirm = useMutation({ mutationFn: () => ask(api.POST("/api/v1/email-change", { body: { token } })) });
  return (
    <Front title="Confirm your e-mail address">
      {confirm.isSuccess ? (
        <Alert color="green" title="Confirmed">
          From now on you sign in with this address.{" "}
          <Anchor component={Link} to="/webhooks" inherit>
            Go to your webhooks
          </Anchor>
          .
        </Alert>
      ) : (
        <>
          <Text size="sm">The address that this link was sent to becomes the one that you sign in with.</Text>
          <Refused error={confirm.error} />
          <Button loading={confirm.isPending} onClick={() => { confirm.mutate(); }}>
            Confirm
          </Button>
        </>
      )}
    </Front>
  );
}
