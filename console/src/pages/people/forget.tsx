import { Button } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useNavigate } from "@tanstack/react-router";
import { api, ask } from "../../api/client";
import { FORGET_JOBS, type Kind } from "../../api/people";
import { useChange } from "../../api/queries";
import { Confirm } from "../../parts/confirm";

/** Erases somebody, as a job whose progress is shown on the page about privacy. */
export function Forget({ kind, id }: { kind: Kind; id: string }) {
  const [asking, { open, close }] = useDisclosure();
  const navigate = useNavigate();
  const path = kind === "visitor" ? "/api/v1/visitors/{id}/forget" : "/api/v1/accounts/{id}/forget";
  const forget = useChange(() => ask(api.POST(path, { params: { path: { id } } })), FORGET_JOBS, [`${kind}s`]);
  const watch = () => void navigate({ to: "/privacy" });
  return (
    <>
      <Button variant="default" c="red" onClick={open}>
        Forget
      </Button>
      <Confirm
        title={`Forget this ${kind}?`}
        action="Forget"
        typed={id}
        opened={asking}
        onClose={close}
        confirm={{ ...forget, mutate: () => { forget.mutate(undefined, { onSuccess: watch }); } }}
      >
        Everything of <b>{id}</b> that was accepted until now is erased: events, deliveries, metadata, what waits to be sent. Receivers keep what they
        were sent. This cannot be taken back.
      </Confirm>
    </>
  );
}
