import { useNavigate } from "@tanstack/react-router";
import { useMakeGuide } from "../../api/guides";
import { Page } from "../../parts/page";
import { GuideForm } from "./form";
import { newGuide } from "./values";

export function NewGuide() {
  const navigate = useNavigate();
  const make = useMakeGuide();
  const open = (id: string) => void navigate({ to: "/guides/$id", params: { id }, ignoreBlocker: true });
  return (
    <Page title="Add guide" crumbs={[{ name: "Data" }, { name: "Guides", to: "/guides" }]}>
      <GuideForm
        start={newGuide()}
        save={{ ...make, mutate: (input) => { make.mutate(input, { onSuccess: ({ id }) => { open(id); } }); } }}
        action="Make the draft"
        onCancel={() => void navigate({ to: "/guides", search: {} })}
      />
    </Page>
  );
}
