import { useMutation } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { keepToken, type Schemas } from "../../api/client";
import { queries } from "../../api/queries";

/** A call that signs its caller in; then the console opens. */
export function useEntry(enter: () => Promise<Schemas["Session"]>) {
  const navigate = useNavigate();
  return useMutation({
    mutationFn: enter,
    onSuccess: async (session) => {
      keepToken(session.csrf_token);
      queries.setQueryData(["session"], session);
      await navigate({ to: "/webhooks", search: {} });
    },
  });
}
